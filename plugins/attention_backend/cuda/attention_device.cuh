// What the attention kernels share. Scores are in units of log 2 throughout: the scale of the
// queries holds log2(e).
#pragma once

#include "attention.h"
#include "plan_tables.h"

#include <cuda_bf16.h>

namespace dbsa::cuda {

struct AttentionArgs {
  DevicePlan plan;
  int layer;
  int query_heads;
  int group;  // query heads of a KV head
  int head_dim;
  float scale;            // times log2(e)
  const float* q;         // [rows, query_heads, head_dim]
  float* out;             // [rows, query_heads, head_dim]
  float* partial;         // [slots, query_heads, head_dim], not divided by the sums
  float2* partial_state;  // [slots, query_heads]: maximum and sum
};

// The kernels of attention_mma.cu.
bool fits_tensor_cores(const AttentionShape& shape);
cudaError_t tensor_core_attention(cudaStream_t stream, const AttentionArgs& args, int kv_heads,
                                  bool wgmma);

struct Visible {
  int low;
  int high;
};

// Tokens of a piece that a row at `position` sees; low >= high: none.
__device__ inline Visible visible(const Piece& piece, int position) {
  Visible tokens{piece.begin, piece.end};
  if (piece.kind == 0) return tokens;
  const int64_t own = position - piece.shift;
  if (own + 1 < tokens.high) tokens.high = own + 1 < tokens.low ? tokens.low : int(own + 1);
  if (piece.kind == 2) {
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
__device__ inline float finished(float value, float sum) {
  return __fadd_rn(__fmul_rn(value, __frcp_rn(sum)), 0.0f);
}

}  // namespace dbsa::cuda
