// The small kernels: rows of float32 matrices [rows, width] on the device, enqueued on a stream.
// Each row is computed by itself, in an order that depends only on its width.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dbsa::cuda {

enum class Number { kF32, kF16, kBf16 };

// to[count] = from[count], rounded to nearest even. kF32 and kBf16 are written.
cudaError_t convert(cudaStream_t stream, const void* from, Number from_type, int64_t count,
                    void* to, Number to_type);

// out[r] = table[ids[r]]; ids on the device.
cudaError_t look_up(cudaStream_t stream, const void* table, Number type, const int32_t* ids,
                    int64_t rows, int64_t width, float* out);
// out[r] = x[indices[r]]; indices on the device.
cudaError_t gather(cudaStream_t stream, const float* x, const int64_t* indices, int64_t rows,
                   int64_t width, float* out);

// rounded: the same as bfloat16, or null.
cudaError_t rms_norm(cudaStream_t stream, const float* x, const float* weight, int64_t rows,
                     int64_t width, float epsilon, float* out, void* rounded);
cudaError_t layer_norm(cudaStream_t stream, const float* x, const float* weight, const float* bias,
                       int64_t rows, int64_t width, float epsilon, float* out);
cudaError_t gelu(cudaStream_t stream, const float* x, int64_t count, float* out);
// out = x + factor * y; out may be either.
cudaError_t add_scaled(cudaStream_t stream, const float* x, const float* y, float factor,
                       int64_t count, float* out);
// out = factor * x, and where cap > 0 of that cap * tanh(factor * x / cap); out may be x.
cudaError_t scale_values(cudaStream_t stream, const float* x, float factor, float cap,
                         int64_t count, float* out);
// out = silu(gate) * up, as `type`.
cudaError_t silu_mul(cudaStream_t stream, const float* gate, const float* up, int64_t count,
                     void* out, Number type);

// Of logits x[rows, width], what score_tokens of dbsa/attention_backend.h gives. values and ids are
// those of all rows, the others of these; all on the device.
cudaError_t log_softmax(cudaStream_t stream, const float* x, int64_t rows, int64_t width,
                        const int64_t* first, const int32_t* ids, double* values, int32_t* best,
                        double* best_values);

// out[rows, n] = x[rows, k] w[n, k]^T (+ bias) (+ residual): sums in ascending k. For what blas.h
// does not take. x and w of one type.
cudaError_t multiply(cudaStream_t stream, const void* x, const void* w, Number type,
                     const float* bias, const float* residual, int64_t rows, int64_t n, int64_t k,
                     float* out);
// out += bias, row by row.
cudaError_t add_bias(cudaStream_t stream, const float* bias, int64_t rows, int64_t n, float* out);

// Rows of k and v, [rows, kv_heads * head_dim], as tokens first_token.. of one layer of a KV
// object, [K, V][kv_heads][padded_tokens][head_dim] of `type`; keys are rotated for those tokens.
struct KvWrite {
  const float* k;
  const float* v;
  int64_t rows;
  int64_t first_token;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t padded_tokens;
  const float* inv_freq;  // [head_dim / 2]
  void* plane;
  Number type;
};
cudaError_t write_kv(cudaStream_t stream, const KvWrite& write);

}  // namespace dbsa::cuda
