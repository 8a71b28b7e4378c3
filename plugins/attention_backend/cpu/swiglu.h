// A gated layer: out = (activation(x gate^T) * (x up^T)) down^T, some rows at a time.
#pragma once

#include "linear.h"

namespace dbsa::cpu {

class SwiGlu {
 public:
  explicit SwiGlu(LinearContext& context) : context_(context) {}

  // residual may be null, or out.
  void run(const Rows& x, const dbsa_swiglu_weights& weights, const float* residual, float* out);

 private:
  void run_rows(const Rows& x, const dbsa_swiglu_weights& weights, const float* residual,
                float* out);

  LinearContext& context_;
  Memory hidden_;  // what lies between the layers
};

}  // namespace dbsa::cpu
