// Attention over plans, on a stream. All pointers are device pointers.
//
// Which kernel runs depends on the shape and the device alone, never on the plan.
#pragma once

#include "plan_tables.h"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dbsa::cuda {

struct AttentionShape {
  int query_heads;
  int kv_heads;
  int head_dim;       // even, 2..256
  float scale;        // of the scores, before softmax
  bool kv_f32;        // KV is float32, else bfloat16
  bool compute_bf16;  // queries and softmax weights may be rounded to bfloat16
};

// Pieces of work that fill the current device: PlanShape::side_by_side.
cudaError_t side_by_side(int64_t* pieces);

// Enqueues the rotations of a plan whose tables are on the device, once, before its attention.
cudaError_t prepare_attention(cudaStream_t stream, const AttentionShape& shape,
                              const DevicePlan& plan);

// Enqueues the attention of one layer. q: float32 [rows, query_heads, head_dim], not rotated; out
// likewise. scratch: Plan::scratch_bytes, 256-byte aligned, free again after the call on the
// stream.
cudaError_t attention(cudaStream_t stream, const AttentionShape& shape, const DevicePlan& plan,
                      int layer, const float* q, float* out, void* scratch);

// The kernel that attention of this shape runs on the current device: "wgmma", "mma" or "simple".
const char* attention_kernel(const AttentionShape& shape);

}  // namespace dbsa::cuda
