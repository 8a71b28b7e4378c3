// Memory of the device, and what of the host stands ready to be copied there.
#pragma once

#include <dbsa/sdk/result.h>

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace dbsa::cuda {

// kRun with what was being done, or nothing.
Status check(cudaError_t code, const std::string& what);

// Blocks of device memory, kept for the next that needs as many bytes: allocating waits for the
// device. All work is on one stream, so a block that was given back may be handed out at once: what
// the stream still does with it comes before what it will do next. Any thread.
class DevicePool {
 public:
  ~DevicePool();
  // 256-byte aligned. kEnvironment where the device has no room, even with all that is kept freed.
  Result<void*> take(uint64_t bytes);
  void give(void* block, uint64_t bytes);
  uint64_t used() const;

 private:
  static uint64_t rounded(uint64_t bytes);
  void free_kept();

  mutable std::mutex mutex_;
  std::multimap<uint64_t, void*> kept_;  // by rounded bytes
  uint64_t used_ = 0;
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
  explicit operator bool() const { return data_ != nullptr; }

 private:
  std::shared_ptr<DevicePool> pool_;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// Small things on their way to the device: copied to pinned memory at once, and from there by the
// stream, so that the caller's may be gone. One thread.
class Staging {
 public:
  ~Staging();
  Status upload(cudaStream_t stream, const void* from, uint64_t bytes, void* to);

 private:
  struct Slot {
    void* pinned = nullptr;
    uint64_t bytes = 0;
    cudaEvent_t sent = nullptr;  // null: never used
  };
  static constexpr int kSlots = 8;
  Slot slots_[kSlots];
  int next_ = 0;
};

}  // namespace dbsa::cuda
