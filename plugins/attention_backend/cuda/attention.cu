#include "attention_device.cuh"

namespace dbsa::cuda {
namespace {

constexpr float kLog2E = 1.4426950408889634f;
constexpr int kMostDim = 256;

__global__ void rotation_kernel(DevicePlan plan, int half) {
  const int64_t index = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (index >= plan.distance_count * half) return;
  const int64_t distance = index / half;
  const int i = static_cast<int>(index % half);
  double sine, cosine;
  sincos(static_cast<double>(plan.distances[distance]) * static_cast<double>(plan.inv_freq[i]),
         &sine, &cosine);
  plan.rotations[distance * 2 * half + i] = static_cast<float>(cosine);
  plan.rotations[distance * 2 * half + half + i] = static_cast<float>(sine);
}

// Any shape, in float32: a warp takes a row of one head, 32 tokens at a time. Lanes are tokens for
// the scores and dimensions for the sum of values.
constexpr int kSimpleWarps = 4;
constexpr int kSimpleSlices = 8;

__device__ inline float2 load_pair(const float* x) { return *reinterpret_cast<const float2*>(x); }
__device__ inline float2 load_pair(const __nv_bfloat16* x) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x));
}
__device__ inline float load_one(const float* x) { return *x; }
__device__ inline float load_one(const __nv_bfloat16* x) { return __bfloat162float(*x); }

template <class T>
__global__ void __launch_bounds__(32 * kSimpleWarps) simple_kernel(AttentionArgs args) {
  constexpr int kSums = kMostDim / 32;
  __shared__ float rotated[kSimpleWarps][kMostDim];
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float* query = rotated[warp];
  const int dim = args.head_dim;
  const int half = dim / 2;
  const Work work = args.plan.works[blockIdx.x];
  const int kv_head = blockIdx.y;
  for (int merged_row = blockIdx.z * kSimpleWarps + warp; merged_row < work.rows * args.group;
       merged_row += kSimpleSlices * kSimpleWarps) {
    const int row = work.first_row + merged_row / args.group;
    const int head = kv_head * args.group + merged_row % args.group;
    const int position = args.plan.positions[row];
    const float* q = args.q + (int64_t{row} * args.query_heads + head) * dim;
    RowState total;
    float total_sums[kSums];
    int32_t rotated_by = -1;
    for (int p = 0; p < work.parts; ++p) {
      const Part part = args.plan.parts[work.first_part + p];
      RowState state;
      float sums[kSums] = {};
      for (int i = 0; i < part.pieces; ++i) {
        const Piece& piece = args.plan.pieces[part.first_piece + i];
        const Visible seen = visible(piece, position);
        if (seen.low >= seen.high) continue;
        const int32_t rotation = args.plan.rotation_index[piece.rotation + row];
        if (rotation != rotated_by) {
          rotated_by = rotation;
          const float* cosine = args.plan.rotations + int64_t{rotation} * dim;
          __syncwarp();
          for (int d = lane; d < half; d += 32) {
            const float a = q[d], b = q[half + d];
            const float c = cosine[d], s = cosine[half + d];
            query[d] = args.scale * __fmaf_rn(a, c, -__fmul_rn(b, s));
            query[half + d] = args.scale * __fmaf_rn(b, c, __fmul_rn(a, s));
          }
          __syncwarp();
        }
        const uint64_t base =
            piece.keys + args.layer * piece.layer_bytes + kv_head * piece.head_bytes;
        const T* keys = reinterpret_cast<const T*>(base);
        const T* values = reinterpret_cast<const T*>(base + piece.values_bytes);
        for (int chunk = seen.low / 32 * 32; chunk < seen.high; chunk += 32) {
          const int token = chunk + lane;
          const bool sees = token >= seen.low && token < seen.high;
          float score = -INFINITY;
          if (sees) {
            const T* key = keys + int64_t{token} * dim;
            score = 0.0f;
            for (int d = 0; d < dim; d += 2) {
              const float2 k = load_pair(key + d);
              score = __fmaf_rn(query[d], k.x, score);
              score = __fmaf_rn(query[d + 1], k.y, score);
            }
          }
          float maximum = score;
          for (int step = 16; step > 0; step /= 2) {
            maximum = fmaxf(maximum, __shfl_xor_sync(~0u, maximum, step));
          }
          maximum = fmaxf(maximum, state.maximum);
          const float shrink = state.maximum == -INFINITY ? 0.0f : exp2f(state.maximum - maximum);
          const float weight = sees ? exp2f(score - maximum) : 0.0f;
          float sum = weight;
          for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
          state.maximum = maximum;
          state.sum = __fmaf_rn(state.sum, shrink, sum);
#pragma unroll
          for (int s = 0; s < kSums; ++s) sums[s] *= shrink;
          const int end = min(seen.high, chunk + 32);
          for (int t = max(seen.low, chunk); t < end; ++t) {
            const float w = __shfl_sync(~0u, weight, t - chunk);
            const T* value = values + int64_t{t} * dim;
#pragma unroll
            for (int s = 0; s < kSums; ++s) {
              const int d = lane + 32 * s;
              if (d < dim) sums[s] = __fmaf_rn(w, load_one(value + d), sums[s]);
            }
          }
        }
      }
      if (work.slot >= 0) {
        const int64_t slot = (work.slot + merged_row / args.group) * args.query_heads + head;
#pragma unroll
        for (int s = 0; s < kSums; ++s) {
          const int d = lane + 32 * s;
          if (d < dim) args.partial[slot * dim + d] = sums[s];
        }
        if (lane == 0) args.partial_state[slot] = make_float2(state.maximum, state.sum);
      } else if (p == 0) {
        total = state;
#pragma unroll
        for (int s = 0; s < kSums; ++s) total_sums[s] = sums[s];
      } else {
        const Merge by = merge(total, state);
#pragma unroll
        for (int s = 0; s < kSums; ++s) total_sums[s] = merged(by, total_sums[s], sums[s]);
      }
    }
    if (work.slot < 0) {
      float* out = args.out + (int64_t{row} * args.query_heads + head) * dim;
      const float inverse = __frcp_rn(total.sum);
#pragma unroll
      for (int s = 0; s < kSums; ++s) {
        const int d = lane + 32 * s;
        if (d < dim) out[d] = finished(total_sums[s], inverse);
      }
    }
  }
}

// Merges the parts of rows that were run side by side: a thread per kWidth numbers of `out`.
template <int kWidth>
__global__ void combine_kernel(AttentionArgs args) {
  struct alignas(4 * kWidth) Numbers {
    float at[kWidth];
  };
  let_next_begin();
  wait_for_earlier();
  const int64_t index = (blockIdx.x * int64_t{blockDim.x} + threadIdx.x) * kWidth;
  const int64_t row_head = index / args.head_dim;
  const int d = static_cast<int>(index % args.head_dim);
  const int64_t row = row_head / args.query_heads;
  const int64_t head = row_head % args.query_heads;
  if (row >= args.plan.rows) return;
  const RowSlots slots = args.plan.row_slots[row];
  const auto keep_rounded = [&](const Numbers& value) {
    if (args.rounded == nullptr) return;
#pragma unroll
    for (int w = 0; w < kWidth; w += 2) {
      *reinterpret_cast<uint32_t*>(args.rounded + index + w) =
          pack_bf16(value.at[w], value.at[w + 1]);
    }
  };
  if (slots.count == 0) {
    keep_rounded(*reinterpret_cast<const Numbers*>(args.out + index));
    return;
  }
  // Some at a time, all of which are on their way before the first is merged.
  constexpr int kBatch = 12;
  RowState total;
  Numbers value = {};
  for (int first = 0; first < slots.count; first += kBatch) {
    float2 states[kBatch];
    Numbers values[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int at = slots.first + min(first + i, slots.count - 1);
      const int64_t slot = (args.plan.slots[at] + row) * args.query_heads + head;
      states[i] = args.partial_state[slot];
      values[i] = *reinterpret_cast<const Numbers*>(args.partial + slot * args.head_dim + d);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (first + i >= slots.count) break;
      RowState part;
      part.maximum = states[i].x;
      part.sum = states[i].y;
      const Merge by = merge(total, part);
#pragma unroll
      for (int w = 0; w < kWidth; ++w) value.at[w] = merged(by, value.at[w], values[i].at[w]);
    }
  }
  const float inverse = __frcp_rn(total.sum);
#pragma unroll
  for (int w = 0; w < kWidth; ++w) value.at[w] = finished(value.at[w], inverse);
  *reinterpret_cast<Numbers*>(args.out + index) = value;
  keep_rounded(value);
}

unsigned blocks_of(int64_t threads, int64_t block) {
  return static_cast<unsigned>((threads + block - 1) / block);
}

cudaError_t combine(cudaStream_t stream, const AttentionArgs& args) {
  const int width = args.head_dim % 4 == 0 ? 4 : 2;
  const int64_t threads = int64_t{args.plan.rows} * args.query_heads * (args.head_dim / width);
  return launch_early(stream, width == 4 ? combine_kernel<4> : combine_kernel<2>,
                      dim3(blocks_of(threads, 128)), dim3(128), 0, args);
}

}  // namespace

cudaError_t side_by_side(int64_t* pieces) {
  int device = 0, multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  // Half as many again as there are blocks at a time: below that, running them to the end one by
  // one leaves more of the device idle than merging parts costs.
  *pieces = multiprocessors + multiprocessors / 2;
  return error;
}

AttentionKernel choose_kernel(const AttentionShape& shape) {
  constexpr int kStaticSharedBytes = 2048;  // at most, beside what a launch asks for
  const int shared_bytes = mma_shared_bytes(shape.head_dim);
  int device = 0, most_shared_bytes = 0;
  if (!shape.compute_bf16 || shape.kv_f32 || shared_bytes == 0 ||
      shape.query_heads / shape.kv_heads > kTileRows || cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&most_shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
          cudaSuccess ||
      shared_bytes + kStaticSharedBytes > most_shared_bytes) {
    return AttentionKernel::kSimple;
  }
  const bool wgmma = shape.head_dim == 64 || shape.head_dim == 128;
  return wgmma && compute_capability() == 90 ? AttentionKernel::kWgmma : AttentionKernel::kMma;
}

const char* name_of(AttentionKernel kernel) {
  switch (kernel) {
    case AttentionKernel::kMma:
      return "mma";
    case AttentionKernel::kWgmma:
      return "wgmma";
    default:
      return "simple";
  }
}

MapEncoder map_encoder(AttentionKernel kernel) {
  return kernel == AttentionKernel::kWgmma ? encode_hopper_map : nullptr;
}

cudaError_t prepare_attention(cudaStream_t stream, const AttentionShape& shape,
                              const DevicePlan& plan) {
  const int half = shape.head_dim / 2;
  constexpr int kThreads = 128;
  rotation_kernel<<<blocks_of(plan.distance_count * half, kThreads), kThreads, 0, stream>>>(plan,
                                                                                            half);
  return cudaGetLastError();
}

cudaError_t attention(cudaStream_t stream, AttentionKernel kernel, const AttentionShape& shape,
                      const DevicePlan& plan, int layer, const float* q, float* out, void* scratch,
                      void* rounded) {
  AttentionArgs args = {};
  args.plan = plan;
  args.layer = layer;
  args.query_heads = shape.query_heads;
  args.kv_heads = shape.kv_heads;
  args.group = shape.query_heads / shape.kv_heads;
  args.head_dim = shape.head_dim;
  args.scale = shape.scale * kLog2E;
  args.q = q;
  args.out = out;
  args.rounded = static_cast<__nv_bfloat16*>(rounded);
  args.partial = static_cast<float*>(scratch);
  args.partial_state = reinterpret_cast<float2*>(
      args.partial + plan.slot_count * shape.query_heads * shape.head_dim);
  cudaError_t error = cudaSuccess;
  if (kernel == AttentionKernel::kWgmma) {
    error = hopper_attention(stream, args);
  } else if (kernel == AttentionKernel::kMma) {
    error = mma_attention(stream, args);
  } else {
    const dim3 grid(plan.work_count, shape.kv_heads, kSimpleSlices);
    if (shape.kv_f32) {
      simple_kernel<float><<<grid, 32 * kSimpleWarps, 0, stream>>>(args);
    } else {
      simple_kernel<__nv_bfloat16><<<grid, 32 * kSimpleWarps, 0, stream>>>(args);
    }
    error = cudaGetLastError();
  }
  if (error != cudaSuccess || plan.slot_count == 0) return error;
  return combine(stream, args);
}

}  // namespace dbsa::cuda
