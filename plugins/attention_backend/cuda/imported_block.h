// A block of the host that attention reads on the device: which of its planes are there. No CUDA
// in it.
#pragma once

#include "device_pool.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace dbsa::cuda {

class ImportedBlock {
 public:
  // planes: [layers], of the host, plane_bytes each; read when they are sent.
  ImportedBlock(std::shared_ptr<DevicePool> pool, std::vector<const void*> planes,
                int64_t plane_bytes);

  // What it has on the device stays until unpin().
  void pin() { memory_.pin(); }
  // Device memory, while pinned. Planes sent before need not be sent again, unless others needed
  // their memory in between.
  Status reserve();
  void unpin() { memory_.unpin(); }

  const void* host_plane(int64_t layer) const { return planes_[static_cast<size_t>(layer)]; }
  std::byte* device_plane(int64_t layer) const { return memory_.data() + layer * plane_bytes_; }
  uint64_t plane_bytes() const { return static_cast<uint64_t>(plane_bytes_); }
  bool sent(int64_t layer) const { return sent_[static_cast<size_t>(layer)]; }
  void set_sent(int64_t layer) { sent_[static_cast<size_t>(layer)] = true; }

 private:
  std::vector<const void*> planes_;
  std::vector<bool> sent_;
  int64_t plane_bytes_;
  CachedMemory memory_;
};

// The blocks that a plan reads, pinned as long as this lives.
class PinnedBlocks {
 public:
  PinnedBlocks() = default;
  PinnedBlocks(const PinnedBlocks&) = delete;
  PinnedBlocks& operator=(const PinnedBlocks&) = delete;
  ~PinnedBlocks();

  void add(std::shared_ptr<ImportedBlock> block);
  // Device memory for all that were added: none makes room for another.
  Status reserve();
  bool empty() const { return blocks_.empty(); }

  // Calls copy(from, bytes, to) for each plane of the layer that is not on the device yet; true:
  // there was one.
  template <typename Copy>
  Result<bool> send(int64_t layer, Copy&& copy) const {
    bool any = false;
    for (const auto& block : blocks_) {
      if (block->sent(layer)) continue;
      DBSA_RETURN_IF_ERROR(
          copy(block->host_plane(layer), block->plane_bytes(), block->device_plane(layer)));
      block->set_sent(layer);
      any = true;
    }
    return any;
  }

 private:
  std::vector<std::shared_ptr<ImportedBlock>> blocks_;
};

}  // namespace dbsa::cuda
