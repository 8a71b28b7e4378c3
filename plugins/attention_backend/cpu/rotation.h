// Cosines and sines of RoPE for whole-number distances.
#pragma once

#include "plugins/shared/attention_plan/distances.h"

#include <cstdint>
#include <vector>

namespace dbsa::cpu {

using attention_plan::Distances;
using attention_plan::Interval;

class Rotations {
 public:
  // Forms angles as distance x inv_freq in double, cosine and sine rounded to float32 once.
  // Cost: intervals.size() log, and half sines and cosines for each distance of their union.
  // Both multiplied by `factor` before, where there is one.
  static Rotations make(std::vector<Interval> intervals, const std::vector<float>& inv_freq,
                        const std::vector<float>& factor);

  // cosine: [half], sine after it. The distance must lie in one of the intervals.
  const float* cosine(int64_t distance) const;

 private:
  Distances distances_;
  std::vector<float> table_;  // [distances, 2, half]
  int64_t half_ = 0;
};

// The cosines and sines of one distance: out [2, half].
void make_rotation(int64_t distance, const std::vector<float>& inv_freq,
                   const std::vector<float>& factor, float* out);

}  // namespace dbsa::cpu
