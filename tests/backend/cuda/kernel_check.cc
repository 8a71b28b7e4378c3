// Checks the kernels by themselves, and times them.
//
//   attention_backend_cuda_check [--bench | --only-bench] [--seed N]
//
// Exits with 1 where an error is above its bound or bits differ that must not, with 77 where there
// is no GPU.
#include "tests/backend/cuda/kernel_check.h"

#include <string>

namespace dbsa::cuda {
namespace {

void bench_all() {
  constexpr uint64_t kCopied = uint64_t{2} << 30;
  double copy_bandwidth = 0;
  {
    DeviceArray from(kCopied), to(kCopied);
    from.poison();
    const double took = milliseconds(
        [&] {
          require(cudaMemcpyAsync(to.data, from.data, kCopied, cudaMemcpyDeviceToDevice), "copy");
        },
        5);
    copy_bandwidth = 2.0 * kCopied / took * 1e3;
    std::printf("copying on the device: %.0f GB/s, read and written\n", copy_bandwidth * 1e-9);
  }
  bench_linear(copy_bandwidth);
  bench_attention(copy_bandwidth);
}

}  // namespace
}  // namespace dbsa::cuda

int main(int count, char** arguments) {
  uint64_t seed = 1;
  bool bench = false, check = true;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--bench") {
      bench = true;
    } else if (argument == "--only-bench") {
      bench = true;
      check = false;
    } else if (argument == "--seed" && i + 1 < count) {
      seed = std::strtoull(arguments[++i], nullptr, 10);
    } else {
      std::printf("usage: %s [--bench | --only-bench] [--seed N]\n", arguments[0]);
      return 2;
    }
  }
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no CUDA device\n");
    return 77;
  }
  bool good = true;
  if (check) {
    good = dbsa::cuda::check_linear(seed) && good;
    good = dbsa::cuda::check_attention(seed) && good;
    std::printf(good ? "all within their bounds\n" : "FAILED\n");
  }
  if (bench) dbsa::cuda::bench_all();
  return good ? 0 : 1;
}
