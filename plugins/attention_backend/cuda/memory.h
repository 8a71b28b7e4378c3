// Memory of the GPU, and copies between it and the host.
#pragma once

#include "device_pool.h"

#include <dbsa/sdk/host.h>
#include <dbsa/sdk/result.h>

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

namespace dbsa::cuda {

// kRun with what was being done, or nothing.
Status check(cudaError_t code, const std::string& what);

// The GPU's. Leaves some to the driver, which loads kernels when they are first launched.
class CudaAllocator : public DeviceAllocator {
 public:
  void* allocate(uint64_t bytes) override;
  void free(void* memory) override;
  std::string room() override;
};

// A pool of it. limit: as of DevicePool.
std::shared_ptr<DevicePool> make_gpu_pool(uint64_t limit);

// Copies that the stream makes in its turn: first to pinned memory, in parts, and from there, so
// that the caller's may be gone. For what is small or rare. Not thread-safe.
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
  static constexpr uint64_t kMostBytes = uint64_t{1} << 20;
  Status upload_part(cudaStream_t stream, const void* from, uint64_t bytes, void* to);
  Slot slots_[kSlots];
  int next_ = 0;
};

// Large copies between the host's ordinary memory and the device, through pinned memory that the
// host's threads fill while what came before is on its way. Uploads have their own stream, so that
// they run beside the computation. Not thread-safe.
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
