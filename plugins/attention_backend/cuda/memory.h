// Memory of the device, and what of the host stands ready to be copied there.
#pragma once

#include <dbsa/sdk/host.h>
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

// Large copies between the host's ordinary memory and the device, through pinned memory that the
// host's threads fill while what came before is on its way. Uploads have a stream of their own, so
// that they go on beside the computation. One thread.
class Transfers {
 public:
  explicit Transfers(Host host) : host_(host) {}
  ~Transfers();

  // What is on `stream` by now comes before the next upload.
  Status begin_after(cudaStream_t stream);
  // Copies once it has read all of `from`.
  Status upload(const void* from, uint64_t bytes, void* to);
  // All uploads so far come before what is put on `stream` next.
  Status finish_before(cudaStream_t stream);

  // After all that is on `stream`; waits.
  Status download(cudaStream_t stream, const void* from, uint64_t bytes, void* to);

 private:
  struct Slot {
    void* pinned = nullptr;
    uint64_t bytes = 0;
    cudaEvent_t done = nullptr;  // its last copy
  };
  static constexpr int kSlots = 4;
  static constexpr uint64_t kSlotBytes = uint64_t{8} << 20;

  Status open();
  Status ready(Slot& slot, uint64_t bytes);
  void copy(const void* from, uint64_t bytes, void* to) const;

  Host host_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t order_ = nullptr;
  Slot slots_[kSlots];
  int next_ = 0;
};

}  // namespace dbsa::cuda
