// Log-probabilities of tokens from hidden rows. The logits are taken part by part while they are in
// a core's cache, and no row of them is ever whole.
#pragma once

#include "linear.h"

namespace dbsa::cpu {

// What is asked of the logits factor * x weight^T, soft-capped where soft_cap > 0; see score_tokens
// in dbsa/attention_backend.h.
struct TokenAsks {
  float factor;
  float soft_cap;
  const int64_t* first;  // [rows + 1]
  const int32_t* ids;
  double* values;
  int32_t* best;
  double* best_values;
};

void score_tokens(const LinearContext& context, const Rows& x, const dbsa_weight& weight,
                  const TokenAsks& asks);

}  // namespace dbsa::cpu
