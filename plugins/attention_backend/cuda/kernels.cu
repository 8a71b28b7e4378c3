#include "kernels.h"

#include "device.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>

namespace dbsa::cuda {
namespace {

constexpr int kThreads = 256;

__device__ float load(const float* p) { return *p; }
__device__ float load(const __half* p) { return __half2float(*p); }
__device__ float load(const __nv_bfloat16* p) { return __bfloat162float(*p); }
__device__ void store(float* p, float x) { *p = x; }
__device__ void store(__nv_bfloat16* p, float x) { *p = __float2bfloat16_rn(x); }

int blocks_for(int64_t count) {
  const int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<int>(blocks < 1 ? 1 : blocks > 65536 ? 65536 : blocks);
}

// Runs f(a pointer of the type) for a Number.
template <typename F>
cudaError_t with_type(Number type, const F& f) {
  switch (type) {
    case Number::kF32:
      return f(static_cast<float*>(nullptr));
    case Number::kF16:
      return f(static_cast<__half*>(nullptr));
    default:
      return f(static_cast<__nv_bfloat16*>(nullptr));
  }
}
template <typename F>
cudaError_t with_written_type(Number type, const F& f) {
  if (type == Number::kF32) return f(static_cast<float*>(nullptr));
  return f(static_cast<__nv_bfloat16*>(nullptr));
}

template <typename From, typename To>
__global__ void convert_kernel(const From* from, int64_t count, To* to) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    store(to + i, load(from + i));
}

// Four numbers a thread: what every linear layer begins with.
__global__ void round_kernel(const float4* from, int64_t fours, __nv_bfloat162* to) {
  let_next_begin();
  wait_for_earlier();
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < fours;
       i += int64_t{gridDim.x} * kThreads) {
    const float4 x = from[i];
    to[2 * i] = __floats2bfloat162_rn(x.x, x.y);
    to[2 * i + 1] = __floats2bfloat162_rn(x.z, x.w);
  }
}

template <typename T>
__global__ void look_up_kernel(const T* table, const int32_t* ids, int64_t width, float* out) {
  const int64_t row = blockIdx.x;
  const T* from = table + int64_t{ids[row]} * width;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) out[row * width + i] = load(from + i);
}

__global__ void gather_kernel(const float* x, const int64_t* indices, int64_t width, float* out) {
  const int64_t row = blockIdx.x;
  const float* from = x + indices[row] * width;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) out[row * width + i] = from[i];
}

// The sum over a block, to all its threads, in one order.
__device__ float block_sum(float x) {
  __shared__ float warps[kThreads / 32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  __syncthreads();  // what was read of the last sum
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < kThreads / 32; ++w) sum += warps[w];
  return sum;
}

// Four numbers a thread at a time, of which the first kKept are kept for the second look at the
// row.
__global__ void rms_norm_kernel(const float* x, const float* weight, int64_t width, float epsilon,
                                float* out, __nv_bfloat16* rounded) {
  constexpr int kKept = 4;
  let_next_begin();
  wait_for_earlier();
  const int64_t begin = blockIdx.x * width, fours = width % 4 == 0 ? width / 4 : 0;
  const auto* row = reinterpret_cast<const float4*>(x + begin);
  float4 kept[kKept];
  float sum = 0;
  const auto add = [&](const float4& v) {
    sum += v.x * v.x;
    sum += v.y * v.y;
    sum += v.z * v.z;
    sum += v.w * v.w;
  };
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    const int64_t at = threadIdx.x + int64_t{i} * kThreads;
    if (at < fours) kept[i] = row[at];
  }
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    if (threadIdx.x + int64_t{i} * kThreads < fours) add(kept[i]);
  }
  for (int64_t at = threadIdx.x + int64_t{kKept} * kThreads; at < fours; at += kThreads)
    add(row[at]);
  for (int64_t i = 4 * fours + threadIdx.x; i < width; i += kThreads)
    sum += x[begin + i] * x[begin + i];
  const float scale = 1.0f / sqrtf(block_sum(sum) / static_cast<float>(width) + epsilon);
  const auto write = [&](int64_t at, const float4& v) {
    const float4 w = reinterpret_cast<const float4*>(weight)[at];
    const float4 y = {v.x * scale * w.x, v.y * scale * w.y, v.z * scale * w.z, v.w * scale * w.w};
    reinterpret_cast<float4*>(out + begin)[at] = y;
    if (rounded == nullptr) return;
    auto* pair = reinterpret_cast<__nv_bfloat162*>(rounded + begin) + 2 * at;
    pair[0] = __floats2bfloat162_rn(y.x, y.y);
    pair[1] = __floats2bfloat162_rn(y.z, y.w);
  };
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    const int64_t at = threadIdx.x + int64_t{i} * kThreads;
    if (at < fours) write(at, kept[i]);
  }
  for (int64_t at = threadIdx.x + int64_t{kKept} * kThreads; at < fours; at += kThreads)
    write(at, row[at]);
  for (int64_t i = 4 * fours + threadIdx.x; i < width; i += kThreads) {
    const float y = x[begin + i] * scale * weight[i];
    out[begin + i] = y;
    if (rounded != nullptr) store(rounded + begin + i, y);
  }
}

__global__ void layer_norm_kernel(const float* x, const float* weight, const float* bias,
                                  int64_t width, float epsilon, float* out) {
  const float* row = x + blockIdx.x * width;
  float* to = out + blockIdx.x * width;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) sum += row[i];
  const float mean = block_sum(sum) / static_cast<float>(width);
  float squares = 0;
  for (int64_t i = threadIdx.x; i < width; i += kThreads)
    squares += (row[i] - mean) * (row[i] - mean);
  const float scale = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(width) + epsilon);
  for (int64_t i = threadIdx.x; i < width; i += kThreads)
    to[i] = (row[i] - mean) * scale * weight[i] + bias[i];
}

__global__ void gelu_kernel(const float* x, int64_t count, float* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    out[i] = x[i] * normcdff(x[i]);  // (1 + erf(x / sqrt 2)) / 2, also where it is tiny
}

__global__ void add_scaled_kernel(const float* x, const float* y, float factor, int64_t count,
                                  float* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    out[i] = fmaf(y[i], factor, x[i]);
}

__global__ void scale_kernel(const float* x, float factor, float cap, int64_t count, float* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    out[i] = cap > 0 ? cap * tanhf(x[i] * factor / cap) : x[i] * factor;
}

template <typename To>
__global__ void silu_mul_kernel(const float* gate, const float* up, int64_t count, To* out) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads) {
    store(out + i, silu(gate[i]) * up[i]);
  }
}

constexpr int kRowThreads = 1024;

// A row a block. NaN is never the largest, but makes the sum NaN.
__global__ void log_softmax_kernel(const float* x, int64_t width, const int64_t* first,
                                   const int32_t* ids, double* values, int32_t* best,
                                   double* best_values) {
  __shared__ float largest[kRowThreads];
  __shared__ int32_t largest_at[kRowThreads];
  __shared__ double sums[kRowThreads];
  const int t = static_cast<int>(threadIdx.x);
  const float* row = x + blockIdx.x * width;
  float most = -INFINITY;
  int32_t at = INT32_MAX;
  for (int64_t i = t; i < width; i += kRowThreads)
    if (row[i] > most) {
      most = row[i];
      at = static_cast<int32_t>(i);
    }
  largest[t] = most;
  largest_at[t] = at;
  __syncthreads();
  for (int step = kRowThreads / 2; step > 0; step /= 2) {
    if (t < step && (largest[t + step] > largest[t] ||
                     (largest[t + step] == largest[t] && largest_at[t + step] < largest_at[t]))) {
      largest[t] = largest[t + step];
      largest_at[t] = largest_at[t + step];
    }
    __syncthreads();
  }
  most = largest[0];
  double sum = 0;
  for (int64_t i = t; i < width; i += kRowThreads) sum += static_cast<double>(expf(row[i] - most));
  sums[t] = sum;
  __syncthreads();
  for (int step = kRowThreads / 2; step > 0; step /= 2) {
    if (t < step) sums[t] += sums[t + step];
    __syncthreads();
  }
  const double log_sum = log(sums[0]);
  const auto at_token = [&](float value) {
    return static_cast<double>(value) - static_cast<double>(most) - log_sum;
  };
  for (int64_t i = first[blockIdx.x] + t; i < first[blockIdx.x + 1]; i += kRowThreads)
    values[i] = at_token(row[ids[i]]);
  if (t == 0) {
    best[blockIdx.x] = largest_at[0] == INT32_MAX ? 0 : largest_at[0];
    best_values[blockIdx.x] = at_token(most);
  }
}

constexpr int kSide = 16;

template <typename T>
__global__ void multiply_kernel(const T* x, const T* w, const float* bias, const float* residual,
                                int64_t rows, int64_t n, int64_t k, float* out) {
  __shared__ float xs[kSide][kSide + 1];
  __shared__ float ws[kSide][kSide + 1];
  const int64_t row = blockIdx.y * int64_t{kSide} + threadIdx.y;
  const int64_t column = blockIdx.x * int64_t{kSide} + threadIdx.x;
  float sum = 0;
  for (int64_t first = 0; first < k; first += kSide) {
    const int64_t at = first + threadIdx.x;
    const int64_t w_row = blockIdx.x * int64_t{kSide} + threadIdx.y;
    xs[threadIdx.y][threadIdx.x] = row < rows && at < k ? load(x + row * k + at) : 0.0f;
    ws[threadIdx.y][threadIdx.x] = w_row < n && at < k ? load(w + w_row * k + at) : 0.0f;
    __syncthreads();
    for (int i = 0; i < kSide; ++i) sum = fmaf(xs[threadIdx.y][i], ws[threadIdx.x][i], sum);
    __syncthreads();
  }
  if (row >= rows || column >= n) return;
  if (bias != nullptr) sum += bias[column];
  if (residual != nullptr) sum += residual[row * n + column];
  out[row * n + column] = sum;
}

__global__ void add_bias_kernel(const float* bias, int64_t n, float* out) {
  float* row = out + blockIdx.x * n;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) row[i] += bias[i];
}

template <typename T>
__global__ void write_kv_kernel(KvWrite w) {
  extern __shared__ float rotation[];  // cosine, sine
  let_next_begin();
  const int64_t half = w.head_dim / 2;
  const int64_t row = blockIdx.x, token = w.first_token + row;
  for (int64_t i = threadIdx.x; i < half; i += kThreads) {
    double sine, cosine;
    sincos(static_cast<double>(token) * static_cast<double>(w.inv_freq[i]), &sine, &cosine);
    rotation[i] = static_cast<float>(cosine);
    rotation[half + i] = static_cast<float>(sine);
  }
  wait_for_earlier();
  __syncthreads();
  const int64_t width = w.kv_heads * w.head_dim;
  const int64_t head_numbers = w.padded_tokens * w.head_dim;
  T* keys = static_cast<T*>(w.plane) + token * w.head_dim;
  T* values = keys + w.kv_heads * head_numbers;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    const int64_t head = i / w.head_dim, d = i % w.head_dim, pair = d < half ? d : d - half;
    const float* k = w.k + row * width + head * w.head_dim;
    const float cosine = rotation[pair], sine = rotation[half + pair];
    const float low = k[pair], high = k[pair + half];
    const float rotated = d < half ? low * cosine - high * sine : high * cosine + low * sine;
    store(keys + head * head_numbers + d, rotated);
    store(values + head * head_numbers + d, w.v[row * width + i]);
  }
}

}  // namespace

cudaError_t convert(cudaStream_t stream, const void* from, Number from_type, int64_t count,
                    void* to, Number to_type) {
  if (from_type == Number::kF32 && to_type == Number::kBf16 && count % 4 == 0) {
    return launch_early(stream, round_kernel, dim3(blocks_for(count / 4)), dim3(kThreads), 0,
                        static_cast<const float4*>(from), count / 4,
                        static_cast<__nv_bfloat162*>(to));
  }
  return with_type(from_type, [&](auto* from_tag) {
    return with_written_type(to_type, [&](auto* to_tag) {
      using From = std::remove_pointer_t<decltype(from_tag)>;
      using To = std::remove_pointer_t<decltype(to_tag)>;
      convert_kernel<<<blocks_for(count), kThreads, 0, stream>>>(static_cast<const From*>(from),
                                                                 count, static_cast<To*>(to));
      return cudaGetLastError();
    });
  });
}

cudaError_t look_up(cudaStream_t stream, const void* table, Number type, const int32_t* ids,
                    int64_t rows, int64_t width, float* out) {
  return with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    look_up_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(
        static_cast<const T*>(table), ids, width, out);
    return cudaGetLastError();
  });
}

cudaError_t gather(cudaStream_t stream, const float* x, const int64_t* indices, int64_t rows,
                   int64_t width, float* out) {
  gather_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, indices, width, out);
  return cudaGetLastError();
}

cudaError_t rms_norm(cudaStream_t stream, const float* x, const float* weight, int64_t rows,
                     int64_t width, float epsilon, float* out, void* rounded) {
  return launch_early(stream, rms_norm_kernel, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0,
                      x, weight, width, epsilon, out, static_cast<__nv_bfloat16*>(rounded));
}

cudaError_t layer_norm(cudaStream_t stream, const float* x, const float* weight, const float* bias,
                       int64_t rows, int64_t width, float epsilon, float* out) {
  layer_norm_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(x, weight, bias, width,
                                                                          epsilon, out);
  return cudaGetLastError();
}

cudaError_t gelu(cudaStream_t stream, const float* x, int64_t count, float* out) {
  gelu_kernel<<<blocks_for(count), kThreads, 0, stream>>>(x, count, out);
  return cudaGetLastError();
}

cudaError_t add_scaled(cudaStream_t stream, const float* x, const float* y, float factor,
                       int64_t count, float* out) {
  add_scaled_kernel<<<blocks_for(count), kThreads, 0, stream>>>(x, y, factor, count, out);
  return cudaGetLastError();
}

cudaError_t scale_values(cudaStream_t stream, const float* x, float factor, float cap,
                         int64_t count, float* out) {
  scale_kernel<<<blocks_for(count), kThreads, 0, stream>>>(x, factor, cap, count, out);
  return cudaGetLastError();
}

cudaError_t silu_mul(cudaStream_t stream, const float* gate, const float* up, int64_t count,
                     void* out, Number type) {
  return with_written_type(type, [&](auto* tag) {
    using To = std::remove_pointer_t<decltype(tag)>;
    silu_mul_kernel<<<blocks_for(count), kThreads, 0, stream>>>(gate, up, count,
                                                                static_cast<To*>(out));
    return cudaGetLastError();
  });
}

cudaError_t log_softmax(cudaStream_t stream, const float* x, int64_t rows, int64_t width,
                        const int64_t* first, const int32_t* ids, double* values, int32_t* best,
                        double* best_values) {
  log_softmax_kernel<<<static_cast<unsigned>(rows), kRowThreads, 0, stream>>>(
      x, width, first, ids, values, best, best_values);
  return cudaGetLastError();
}

cudaError_t multiply(cudaStream_t stream, const void* x, const void* w, Number type,
                     const float* bias, const float* residual, int64_t rows, int64_t n, int64_t k,
                     float* out) {
  constexpr int64_t kMostRows = int64_t{65535} * kSide;  // of a grid
  for (int64_t first = 0; first < rows; first += kMostRows) {
    const int64_t count = rows - first < kMostRows ? rows - first : kMostRows;
    const dim3 grid(static_cast<unsigned>((n + kSide - 1) / kSide),
                    static_cast<unsigned>((count + kSide - 1) / kSide));
    const cudaError_t code = with_written_type(type, [&](auto* tag) {
      using T = std::remove_pointer_t<decltype(tag)>;
      multiply_kernel<<<grid, dim3(kSide, kSide), 0, stream>>>(
          static_cast<const T*>(x) + first * k, static_cast<const T*>(w), bias,
          residual == nullptr ? nullptr : residual + first * n, count, n, k, out + first * n);
      return cudaGetLastError();
    });
    if (code != cudaSuccess) return code;
  }
  return cudaSuccess;
}

cudaError_t add_bias(cudaStream_t stream, const float* bias, int64_t rows, int64_t n, float* out) {
  add_bias_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(bias, n, out);
  return cudaGetLastError();
}

cudaError_t write_kv(cudaStream_t stream, const KvWrite& write) {
  const auto shared = static_cast<size_t>(write.head_dim) * sizeof(float);
  return with_written_type(write.type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    return launch_early(stream, write_kv_kernel<T>, dim3(static_cast<unsigned>(write.rows)),
                        dim3(kThreads), shared, write);
  });
}

}  // namespace dbsa::cuda
