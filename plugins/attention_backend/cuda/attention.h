// Attention over plans, on a stream. All pointers are device pointers.
//
// Results of one kernel do not depend on how a plan was cut into works; results of two kernels
// differ in rounding.
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

enum class AttentionKernel {
  kSimple,  // any shape, in float32
  kMma,     // mma.sync, any device since sm_80
  kWgmma    // only sm_90
};
// The kernel of this shape on the current device.
AttentionKernel choose_kernel(const AttentionShape& shape);
const char* name_of(AttentionKernel kernel);

// PlanShape::side_by_side of the current device.
cudaError_t side_by_side(int64_t* pieces);

// PlanShape::encode_map of a kernel, or null.
using MapEncoder = bool (*)(const KvPlace& place, int64_t rows, int64_t head_dim, TensorMap* map);
MapEncoder map_encoder(AttentionKernel kernel);

// Enqueues the rotations of a plan whose tables are on the device, once, before its attention.
cudaError_t prepare_attention(cudaStream_t stream, const AttentionShape& shape,
                              const DevicePlan& plan);

// Enqueues the attention of one layer. q: float32 [rows, query_heads, head_dim], not rotated; out
// likewise. scratch: Plan::scratch_bytes, 256-byte aligned, free again after the call on the
// stream. rounded: out as bfloat16, or null; only for a plan with slots, whose parts are merged.
cudaError_t attention(cudaStream_t stream, AttentionKernel kernel, const AttentionShape& shape,
                      const DevicePlan& plan, int layer, const float* q, float* out, void* scratch,
                      void* rounded);

}  // namespace dbsa::cuda
