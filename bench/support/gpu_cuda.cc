#include <cuda_runtime_api.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/gpu.h"
#include "plugins/attention_backend/cuda/blas.h"
#include "plugins/attention_backend/cuda/memory.h"

namespace dbsa::bench {
namespace {

void must_cuda(cudaError_t code) {
  if (code != cudaSuccess) give_up(std::string("the GPU: ") + cudaGetErrorString(code));
}

// Seconds of the GPU, the median of some calls.
double seconds_of(const std::function<void()>& body) {
  cudaEvent_t begin = nullptr, end = nullptr;
  must_cuda(cudaEventCreate(&begin));
  must_cuda(cudaEventCreate(&end));
  std::vector<double> all;
  for (int i = 0; i < 12; ++i) {
    must_cuda(cudaEventRecord(begin, nullptr));
    body();
    must_cuda(cudaEventRecord(end, nullptr));
    must_cuda(cudaEventSynchronize(end));
    float milliseconds = 0;
    must_cuda(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= 2) all.push_back(static_cast<double>(milliseconds) / 1e3);
  }
  must_cuda(cudaEventDestroy(begin));
  must_cuda(cudaEventDestroy(end));
  return median(all);
}

cuda::DeviceMemory device_memory(uint64_t bytes) {
  return must(cuda::DeviceMemory::make(cuda::make_gpu_pool(0), bytes));
}

// Numbers of either sign and a size of 0.5 to 2, for any other bits of a word.
cuda::DeviceMemory random_numbers(int64_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> words(static_cast<size_t>(count / 4));
  for (uint64_t& word : words) word = (random() & 0x80ff80ff80ff80ff) | 0x3f003f003f003f00;
  cuda::DeviceMemory memory = device_memory(words.size() * 8);
  must_cuda(cudaMemcpy(memory.data(), words.data(), words.size() * 8, cudaMemcpyHostToDevice));
  return memory;
}

}  // namespace

double gpu_matmul_rate() {
  constexpr int64_t n = 8192;
  const auto pool = cuda::make_gpu_pool(0);
  const std::unique_ptr<cuda::Blas> blas = must(cuda::Blas::open(pool));
  const cuda::DeviceMemory x = random_numbers(n * n, 1), w = random_numbers(n * n, 2);
  const cuda::DeviceMemory out = device_memory(static_cast<uint64_t>(n * n) * 4);
  const double seconds = seconds_of([&] {
    must(blas->multiply(nullptr, x.data(), w.data(), nullptr, n, n, n, out.as<float>()));
  });
  return 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / seconds;
}

double gpu_copy_rate() {
  constexpr uint64_t kBytes = uint64_t{2} << 30;
  const cuda::DeviceMemory from = device_memory(kBytes), to = device_memory(kBytes);
  must_cuda(cudaMemset(from.data(), 0x5a, kBytes));
  const double seconds = seconds_of([&] {
    must_cuda(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr));
  });
  return 2.0 * static_cast<double>(kBytes) / seconds;
}

double gpu_upload_rate() {
  constexpr uint64_t kBytes = uint64_t{256} << 20;
  const cuda::DeviceMemory to = device_memory(kBytes);
  void* from = nullptr;
  must_cuda(cudaMallocHost(&from, kBytes));
  std::fill_n(static_cast<char*>(from), kBytes, 'x');
  const double seconds = seconds_of([&] {
    must_cuda(cudaMemcpyAsync(to.data(), from, kBytes, cudaMemcpyHostToDevice, nullptr));
  });
  must_cuda(cudaFreeHost(from));
  return static_cast<double>(kBytes) / seconds;
}

}  // namespace dbsa::bench
