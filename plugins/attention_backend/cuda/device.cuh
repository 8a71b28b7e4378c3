// What kernels of all kinds share.
//
// A kernel that begins early is put on its stream by launch_early and begins once every block of
// the kernel before it has called let_next_begin, or ended. It may read what no kernel writes -
// weights, plans - but has to call wait_for_earlier before it reads or writes anything else. What
// is launched in the ordinary way begins when all before it has ended.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

namespace dbsa::cuda {

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline float silu(float x) { return x / (1.0f + expf(-x)); }

__device__ inline void wait_for_earlier() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
__device__ inline void let_next_begin() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// Of the current device: 90 for 9.0; 0 where it cannot be asked.
inline int compute_capability() {
  int device = 0, major = 0, minor = 0;
  const bool known =
      cudaGetDevice(&device) == cudaSuccess &&
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess;
  return known ? 10 * major + minor : 0;
}

// Not on GPUs after Hopper: what runs there was compiled for 8.0, where kernels cannot wait.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_early(cudaStream_t stream, void (*kernel)(Parameters...), dim3 blocks,
                         dim3 threads, size_t shared_bytes, Arguments&&... arguments) {
  static const bool begins_early = compute_capability() == 90;
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = blocks;
  config.blockDim = threads;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = begins_early ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace dbsa::cuda
