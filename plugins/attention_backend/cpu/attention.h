// Runs a plan for one layer.
#pragma once

#include "code_path.h"
#include "kv_layout.h"
#include "plan.h"

#include <dbsa/sdk/host.h>

namespace dbsa::cpu {

struct AttentionShape {
  int64_t query_heads;
  KvLayout live;    // of KV that is being computed
  KvLayout stored;  // of blocks: as `live`, or int8 where that is bfloat16
  float scale;
  Arithmetic arithmetic;
};

// q, out: [plan.rows, query_heads * head_dim]. workspace is kept between calls.
void run_attention(const Host& host, const Kernels& kernels, const AttentionShape& shape,
                   const dbsa_plan& plan, int32_t layer, const float* q, float* out,
                   Memory& workspace);

}  // namespace dbsa::cpu
