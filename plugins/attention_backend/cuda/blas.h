// Products of bfloat16 with weights by cuBLASLt, which is opened when the first is asked for: a
// backend that cannot run needs no library of it.
//
// A row's result must not depend on how many rows there are. So no sum is split, and the library is
// asked for a kernel for a class of row counts - 1 to 64, to 128, to 256 and so on - never for the
// few rows for which it has kernels that add in another order. The conformance tests hold it to
// that.
#pragma once

#include "device_pool.h"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace dbsa::cuda {

class Blas {
 public:
  // kEnvironment, with every place searched, where the library is not to be had.
  static Result<std::unique_ptr<Blas>> open(std::shared_ptr<DevicePool> pool);
  ~Blas();

  std::string version() const;

  // What it takes: rows of x and w aligned to 16 bytes, rows of out as well.
  static bool takes(int64_t n, int64_t k) { return n % 4 == 0 && k % 8 == 0; }
  // out[rows, n] = x[rows, k] w[n, k]^T (+ residual, which may be out), float32; x and w bfloat16.
  // By the kernel for kernel_rows rows, where these are more.
  Status multiply(cudaStream_t stream, const void* x, const void* w, const float* residual,
                  int64_t rows, int64_t n, int64_t k, float* out, int64_t kernel_rows = 0);

 private:
  struct Library;
  struct Product;
  Blas(std::unique_ptr<Library> library, std::shared_ptr<DevicePool> pool);
  Result<Product*> product(int64_t rows_of_class, int64_t n, int64_t k);

  std::unique_ptr<Library> library_;
  std::shared_ptr<DevicePool> pool_;
  DeviceMemory workspace_;
  std::map<std::tuple<int64_t, int64_t, int64_t>, std::unique_ptr<Product>>
      products_;  // the most rows of a class, n, k
};

}  // namespace dbsa::cuda
