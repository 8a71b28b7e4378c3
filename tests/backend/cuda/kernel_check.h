// What the programs that check kernels share.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

namespace dbsa::cuda {

// False where an error is above its bound or bits differ that must not; says which.
bool check_attention(uint64_t seed);
bool check_linear(uint64_t seed);
// copy_bandwidth: bytes read and written a second.
void bench_attention(double copy_bandwidth);
void bench_linear(double copy_bandwidth);

inline void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(error));
  std::exit(2);
}

struct DeviceArray {
  void* data = nullptr;
  uint64_t bytes = 0;
  explicit DeviceArray(uint64_t size) : bytes(std::max<uint64_t>(size, 256)) {
    require(cudaMalloc(&data, bytes), "cudaMalloc");
  }
  ~DeviceArray() { cudaFree(data); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  void poison() { require(cudaMemset(data, 0xFF, bytes), "cudaMemset"); }
};

inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// The median of some times; `work` is enqueued on the stream.
inline double milliseconds(const std::function<void()>& work, int times,
                           cudaStream_t stream = nullptr) {
  cudaEvent_t begin, end;
  require(cudaEventCreate(&begin), "event");
  require(cudaEventCreate(&end), "event");
  std::vector<double> all;
  work();
  for (int i = 0; i < times; ++i) {
    require(cudaEventRecord(begin, stream), "event");
    work();
    require(cudaEventRecord(end, stream), "event");
    require(cudaEventSynchronize(end), "timed work");
    float took = 0;
    require(cudaEventElapsedTime(&took, begin, end), "event");
    all.push_back(took);
  }
  require(cudaEventDestroy(begin), "event");
  require(cudaEventDestroy(end), "event");
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

}  // namespace dbsa::cuda
