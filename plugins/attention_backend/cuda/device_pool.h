// Device memory, kept for the next that needs as much. No CUDA in it: a DeviceAllocator gets it.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace dbsa::cuda {

// Where memory comes from.
class DeviceAllocator {
 public:
  virtual ~DeviceAllocator() = default;
  // 256-byte aligned; null where there is no room.
  virtual void* allocate(uint64_t bytes) = 0;
  // Waits for all that uses it.
  virtual void free(void* memory) = 0;
  // How much there is, for a message: "3 of 80 MiB are free".
  virtual std::string room() = 0;
};

class CachedMemory;

// Blocks of device memory; allocating waits for the device, so blocks that were given back are
// kept. Such a block may be handed out at once, since all work is on one stream: what that still
// does with it comes before what it will do next. Copies on another stream must be ordered with it,
// both before and after (Transfers::begin_after, finish_before). Any thread.
class DevicePool {
 public:
  // Holds `limit` bytes at most; 0: all there is.
  DevicePool(std::unique_ptr<DeviceAllocator> allocator, uint64_t limit);
  ~DevicePool();
  // Where there is no room, frees what is kept, then cached memory that is not pinned, what was
  // pinned longest ago first. kEnvironment where that is not enough.
  Result<void*> take(uint64_t bytes);
  void give(void* block, uint64_t bytes);
  // Handed out now.
  uint64_t used() const;

 private:
  friend class CachedMemory;
  Result<void*> take_locked(uint64_t bytes);
  void give_locked(void* block, uint64_t bytes);
  void* allocate(uint64_t size);
  void free_kept();
  bool drop_oldest();

  std::unique_ptr<DeviceAllocator> allocator_;
  uint64_t limit_;
  mutable std::mutex mutex_;
  std::multimap<uint64_t, void*> kept_;  // by size
  uint64_t used_ = 0;
  uint64_t held_ = 0;                                    // and kept
  std::set<std::pair<uint64_t, CachedMemory*>> cached_;  // not pinned, by last use
  uint64_t uses_ = 0;
};

// Owns a block of a pool.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  static Result<DeviceMemory> make(const std::shared_ptr<DevicePool>& pool, uint64_t bytes);
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  // Grows to at least `bytes`; contents undefined.
  Status reserve(const std::shared_ptr<DevicePool>& pool, uint64_t bytes);

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<DevicePool> pool_;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// Memory whose contents can be had again: while it is not pinned, its pool may take it away.
class CachedMemory {
 public:
  CachedMemory(std::shared_ptr<DevicePool> pool, uint64_t bytes);
  CachedMemory(const CachedMemory&) = delete;
  CachedMemory& operator=(const CachedMemory&) = delete;
  ~CachedMemory();

  // Memory that it has now or gets by reserve() stays until unpin() was called as often.
  void pin();
  // While it is pinned. True: what it held is still there.
  Result<bool> reserve();
  void unpin();
  // While it is pinned; null where it has none.
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  friend class DevicePool;
  std::shared_ptr<DevicePool> pool_;
  uint64_t bytes_;
  // Of the pool's lock:
  void* data_ = nullptr;
  int64_t pins_ = 0;
  uint64_t last_use_ = 0;
};

}  // namespace dbsa::cuda
