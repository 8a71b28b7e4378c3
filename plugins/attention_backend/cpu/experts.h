// A layer of experts: rows are routed, and those of one expert are multiplied together.
#pragma once

#include "gated_mlp.h"

#include <vector>

namespace dbsa::cpu {

class Experts {
 public:
  Experts(LinearContext& context, GatedMlp& gated_mlp) : context_(context), gated_mlp_(gated_mlp) {}

  // residual may be null, or out.
  void run(const Rows& x, const dbsa_expert_weights& weights, const float* residual, float* out);

 private:
  struct Share {
    int64_t row;
    float share;
  };
  void route(const Rows& x, const dbsa_expert_weights& weights);
  Rows gather(const Rows& x, int64_t width, const std::vector<Share>& of);

  LinearContext& context_;
  GatedMlp& gated_mlp_;
  std::vector<std::vector<Share>> shares_;  // of each expert, rows ascending
  Memory scores_;                           // [rows, count]
  Memory gathered_;                         // [rows of an expert, k]
  Memory products_;                         // [rows of an expert, n]
  uint64_t content_ = uint64_t{1} << 63;    // of what was gathered last; no buffer comes this far
};

}  // namespace dbsa::cpu
