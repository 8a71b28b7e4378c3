// Memory for the planes of a block: one for each layer, each aligned as the store and the backend
// want them.
#pragma once

#include <dbsa/sdk/kv_store.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace dbsa {

class BlockPlanes {
 public:
  // Makes room for a block of that format, in the memory of the last one if it fits. kEnvironment
  // where there is none.
  Status reserve(const dbsa_kv_format& format) {
    stride_ = (format.plane_bytes + DBSA_KV_PLANE_ALIGNMENT - 1) / DBSA_KV_PLANE_ALIGNMENT *
              DBSA_KV_PLANE_ALIGNMENT;
    const uint64_t bytes = stride_ * format.layers;
    planes_.clear();
    if (bytes > bytes_) {
      memory_.reset();
      memory_.reset(std::aligned_alloc(DBSA_KV_PLANE_ALIGNMENT, bytes));
      bytes_ = memory_ ? bytes : 0;
      if (!memory_)
        return Error{ErrorCode::kEnvironment,
                     "out of memory: a block of " + std::to_string(format.tokens) +
                         " tokens needs " + std::to_string(bytes) + " bytes",
                     ""};
    }
    format_ = format;
    for (uint32_t layer = 0; layer < format.layers; ++layer) planes_.push_back(plane(layer));
    return {};
  }
  const dbsa_kv_format& format() const { return format_; }
  void* plane(int64_t layer) {
    return static_cast<char*>(memory_.get()) + stride_ * static_cast<uint64_t>(layer);
  }
  // [layers]
  const std::vector<const void*>& all() const { return planes_; }
  // Whether there are none.
  bool empty() const { return planes_.empty(); }

 private:
  struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
  };

  dbsa_kv_format format_ = {};
  uint64_t stride_ = 0;  // from plane to plane
  std::vector<const void*> planes_;
  std::unique_ptr<void, FreeMemory> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace dbsa
