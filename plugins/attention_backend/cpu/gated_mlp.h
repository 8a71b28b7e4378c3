// A gated layer: out = (activation(x gate^T) * (x up^T)) down^T, some rows at a time.
#pragma once

#include "linear.h"

namespace dbsa::cpu {

class GatedMlp {
 public:
  explicit GatedMlp(LinearContext& context) : context_(context) {}

  // residual may be null, or out.
  void run(const Rows& x, const dbsa_gated_mlp_weights& weights, const float* residual, float* out);

 private:
  void run_rows(const Rows& x, const dbsa_gated_mlp_weights& weights, const float* residual,
                float* out);

  LinearContext& context_;
  Memory hidden_;  // what lies between the layers
};

}  // namespace dbsa::cpu
