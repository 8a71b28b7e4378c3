// What the attention kernels share. Scores are in units of log 2 throughout: the scale of the
// queries holds log2(e).
#pragma once

#include "attention.h"
#include "device.cuh"
#include "plan_tables.h"

#include <cuda_bf16.h>

namespace dbsa::cuda {

struct AttentionArgs {
  DevicePlan plan;
  int layer;
  int query_heads;
  int kv_heads;
  int group;  // query heads of a KV head
  int head_dim;
  float scale;             // times log2(e)
  const float* q;          // [rows, query_heads, head_dim]
  float* out;              // [rows, query_heads, head_dim]
  __nv_bfloat16* rounded;  // the same, or null; where parts are merged
  float* partial;          // [slots, query_heads, head_dim], not divided by the sums
  float2* partial_state;   // [slots, query_heads]: maximum and sum
};

// Shared memory of a block; 0: not for this width.
int mma_shared_bytes(int head_dim);
cudaError_t mma_attention(cudaStream_t stream, const AttentionArgs& args);
cudaError_t hopper_attention(cudaStream_t stream, const AttentionArgs& args);
bool encode_hopper_map(const KvPlace& place, int64_t rows, int64_t head_dim, TensorMap* map);

struct Visible {
  int low;
  int high;
};

// Tokens of a piece that a row at `position` sees; low >= high: none.
__device__ inline Visible visible(const Piece& piece, int position) {
  Visible tokens{piece.begin, piece.end};
  if (piece.kind == kFullSegment) return tokens;
  const int64_t own = position - piece.shift;
  if (own + 1 < tokens.high) tokens.high = own + 1 < tokens.low ? tokens.low : int(own + 1);
  if (piece.kind == kWindowSegment) {
    const int64_t first = own - piece.window + 1;
    if (first > tokens.low) tokens.low = first > tokens.high ? tokens.high : int(first);
  }
  return tokens;
}

// The softmax state of a row, and how a further part changes it. Every kernel merges by this, so
// that all agree bit for bit.
struct RowState {
  float maximum = -INFINITY;
  float sum = 0.0f;
};
struct Merge {
  float total;  // factor of what there is
  float part;   // factor of what comes
};
__device__ inline Merge merge(RowState& total, const RowState& part) {
  const float maximum = fmaxf(total.maximum, part.maximum);
  Merge by;
  by.total = total.maximum == -INFINITY ? 0.0f : exp2f(total.maximum - maximum);
  by.part = part.maximum == -INFINITY ? 0.0f : exp2f(part.maximum - maximum);
  total.maximum = maximum;
  total.sum = __fmaf_rn(part.sum, by.part, __fmul_rn(total.sum, by.total));
  return by;
}
__device__ inline float merged(const Merge& by, float total, float part) {
  return __fmaf_rn(part, by.part, __fmul_rn(total, by.total));
}
// Adding 0 makes -0 of an underflow the 0 that masked tokens would make of it.
__device__ inline float finished(float value, float inverse_sum) {
  return __fadd_rn(__fmul_rn(value, inverse_sum), 0.0f);
}

// ---- for kernels on tensor cores ---------------------------------------------------------------

// Tiles of bfloat16 in shared memory: panels of 64 numbers a row, 16-byte units of a row exchanged
// by the row's number. Byte offset of unit `unit` of row `row` in a tile of `rows` rows.
__device__ inline uint32_t tile_offset(int rows, int row, int unit) {
  return uint32_t(unit / 8 * rows * 128 + row * 128 + ((unit % 8) ^ (row % 8)) * 16);
}

// Volatile: it stays among the products around it.
__device__ inline float fast_exp2(float x) {
  float y;
  asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
// Rotates the merged rows first_row.. of a work for a piece, always from the queries as given, and
// rounds once. By kThreads threads, of which this is number `thread`, kUnroll
// places at a time.
template <int kDim, int kThreads, int kUnroll>
__device__ inline void rotate_queries(const AttentionArgs& args, const Work& work, int kv_head,
                                      const Piece& piece, int first_row, int rows, int thread,
                                      char* queries) {
  constexpr int kHalf = kDim / 2;
  constexpr int kQuads = kHalf / 4;  // of a row
  const int items = rows * kQuads;
#pragma unroll kUnroll
  for (int item = thread; item < items; item += kThreads) {
    const int merged_row = first_row + item / kQuads;
    const int d = item % kQuads * 4;
    const int row = work.first_row + merged_row / args.group;
    const int head = kv_head * args.group + merged_row % args.group;
    const float* q = args.q + (int64_t{row} * args.query_heads + head) * kDim + d;
    const float* cosine =
        args.plan.rotations + int64_t{args.plan.rotation_index[piece.rotation + row]} * kDim + d;
    const float4 a = *reinterpret_cast<const float4*>(q);
    const float4 b = *reinterpret_cast<const float4*>(q + kHalf);
    const float4 c = *reinterpret_cast<const float4*>(cosine);
    const float4 s = *reinterpret_cast<const float4*>(cosine + kHalf);
    const auto first = [&](float x, float y, float cos, float sin) {
      return args.scale * __fmaf_rn(x, cos, -__fmul_rn(y, sin));
    };
    const auto second = [&](float x, float y, float cos, float sin) {
      return args.scale * __fmaf_rn(y, cos, __fmul_rn(x, sin));
    };
    const uint2 low{pack_bf16(first(a.x, b.x, c.x, s.x), first(a.y, b.y, c.y, s.y)),
                    pack_bf16(first(a.z, b.z, c.z, s.z), first(a.w, b.w, c.w, s.w))};
    const uint2 high{pack_bf16(second(a.x, b.x, c.x, s.x), second(a.y, b.y, c.y, s.y)),
                     pack_bf16(second(a.z, b.z, c.z, s.z), second(a.w, b.w, c.w, s.w))};
    const int within = d % 8 * 2;
    *reinterpret_cast<uint2*>(queries + tile_offset(kTileRows, merged_row, d / 8) + within) = low;
    *reinterpret_cast<uint2*>(queries + tile_offset(kTileRows, merged_row, (kHalf + d) / 8) +
                              within) = high;
  }
}

// What a part gives for one merged row: to scratch, or merged with what the parts before it gave,
// which lies in `out`. value(t): the numbers 8 * t + lane % 4 * 2 and the one after it; the four
// lanes of a row hold the same state.
template <int kDTiles, class Value>
__device__ inline void keep_row(const AttentionArgs& args, const Work& work, int kv_head, int part,
                                int merged_row, const RowState& state, const Value& value,
                                RowState& total) {
  const int lane = threadIdx.x % 32;
  const int column = lane % 4 * 2;
  const int within = merged_row / args.group;
  const int head = kv_head * args.group + merged_row % args.group;
  if (work.slot >= 0) {
    const int64_t slot = (work.slot + within) * args.query_heads + head;
    float* partial = args.partial + slot * (8 * kDTiles) + column;
#pragma unroll
    for (int t = 0; t < kDTiles; ++t) *reinterpret_cast<float2*>(partial + 8 * t) = value(t);
    if (lane % 4 == 0) args.partial_state[slot] = make_float2(state.maximum, state.sum);
    return;
  }
  float* out = args.out +
               (int64_t{work.first_row + within} * args.query_heads + head) * (8 * kDTiles) +
               column;
  Merge by{};
  if (part == 0) {
    total = state;
  } else {
    by = merge(total, state);
  }
  const bool last = part == work.parts - 1;
  const float inverse = last ? __frcp_rn(total.sum) : 1.0f;
#pragma unroll
  for (int t = 0; t < kDTiles; ++t) {
    auto* place = reinterpret_cast<float2*>(out + 8 * t);
    float2 now = value(t);
    if (part > 0) {
      const float2 before = *place;
      now = make_float2(merged(by, before.x, now.x), merged(by, before.y, now.y));
    }
    if (last) now = make_float2(finished(now.x, inverse), finished(now.y, inverse));
    *place = now;
  }
}

}  // namespace dbsa::cuda
