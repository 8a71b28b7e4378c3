// Products of few rows with weights in bfloat16, on Hopper. They are as fast as the weights come
// from memory, which the library is not where it must not split sums (see blas.h). Sums are
// float32, in ascending k by wgmma: they have the very bits of the library's, where it takes such a
// kernel.
#pragma once

#include "tensor_map.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dbsa::cuda {

// Beyond, the library is faster.
constexpr int64_t kMostFewRows = 192;

// Whether the current device has them.
bool has_few_rows_linear();

// A weight [n, k] as they read it, k % 8 == 0; false: the driver cannot.
bool encode_weight(const void* weight, int64_t n, int64_t k, TensorMap* map);

// out[rows, n] = x[rows, k] w[n, k]^T (+ residual, which may be out) (+ bias).
struct FewRowsProduct {
  const TensorMap* weight;
  const float* bias;      // [n], or null
  const float* residual;  // [rows, n], or null
  float* out;
  int64_t n;
};
constexpr int kMostProducts = 3;

// Up to kMostProducts of the same x at once. Like all that follows: 1 <= rows <= kMostFewRows, x
// bfloat16, 16-byte aligned.
cudaError_t few_rows_linear(cudaStream_t stream, const void* x, int64_t rows, int64_t k,
                            const FewRowsProduct* products, int count);

// out[rows, n] = silu(x gate^T (+ gate_bias)) * (x up^T (+ up_bias)), bfloat16.
cudaError_t few_rows_swiglu(cudaStream_t stream, const void* x, int64_t rows, int64_t k,
                            const TensorMap& gate, const float* gate_bias, const TensorMap& up,
                            const float* up_bias, int64_t n, void* out);

}  // namespace dbsa::cuda
