// Runs a plan for one layer.
#pragma once

#include "code_path.h"
#include "kv_layout.h"
#include "plan.h"

#include <dbsa/sdk/host.h>

#include <vector>

namespace dbsa::cpu {

// What a layer's type gives.
struct AttentionType {
  std::vector<float> inv_freq;  // [head_dim / 2]
  std::vector<float> factor;    // [head_dim / 2], or empty: 1
  std::vector<float> sink;      // [query_heads], or empty: none
  float scale;
  float soft_cap;  // 0: none
};

struct AttentionShape {
  int64_t query_heads;
  KvLayout live;    // of KV that is being computed
  KvLayout stored;  // of blocks: as `live`, or int8 where that is bfloat16
  Arithmetic arithmetic;
};

// q, out: [plan.rows, query_heads * head_dim]. workspace is kept between calls. type: the plan's.
void run_attention(const Host& host, const Kernels& kernels, const AttentionShape& shape,
                   const AttentionType& type, const dbsa_plan& plan, int32_t layer, const float* q,
                   float* out, Memory& workspace);

}  // namespace dbsa::cpu
