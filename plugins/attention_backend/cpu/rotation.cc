#include "rotation.h"

#include <cmath>
#include <utility>

namespace dbsa::cpu {

void make_rotation(int64_t distance, const std::vector<float>& inv_freq,
                   const std::vector<float>& factor, float* out) {
  const size_t half = inv_freq.size();
  for (size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(distance) * static_cast<double>(inv_freq[i]);
    const double by = factor.empty() ? 1.0 : static_cast<double>(factor[i]);
    out[i] = static_cast<float>(by * std::cos(angle));
    out[half + i] = static_cast<float>(by * std::sin(angle));
  }
}

Rotations Rotations::make(std::vector<Interval> intervals, const std::vector<float>& inv_freq,
                          const std::vector<float>& factor) {
  Rotations made;
  made.half_ = static_cast<int64_t>(inv_freq.size());
  made.distances_ = Distances::of(std::move(intervals));
  made.table_.resize(static_cast<size_t>(made.distances_.count() * 2 * made.half_));
  float* out = made.table_.data();
  for (const Interval& run : made.distances_.runs()) {
    for (int64_t d = run.begin; d < run.end; ++d, out += 2 * made.half_) {
      make_rotation(d, inv_freq, factor, out);
    }
  }
  return made;
}

const float* Rotations::cosine(int64_t distance) const {
  return table_.data() + distances_.index(distance) * 2 * half_;
}

}  // namespace dbsa::cpu
