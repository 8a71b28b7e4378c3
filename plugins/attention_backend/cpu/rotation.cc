#include "rotation.h"

#include <algorithm>
#include <cmath>

namespace dbsa::cpu {

void make_rotation(int64_t distance, const std::vector<float>& inv_freq, float* out) {
  const size_t half = inv_freq.size();
  for (size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(distance) * static_cast<double>(inv_freq[i]);
    out[i] = static_cast<float>(std::cos(angle));
    out[half + i] = static_cast<float>(std::sin(angle));
  }
}

Rotations Rotations::make(std::vector<Interval> intervals, const std::vector<float>& inv_freq) {
  Rotations made;
  made.half_ = static_cast<int64_t>(inv_freq.size());
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  int64_t total = 0;
  for (const Interval& interval : intervals) {
    if (interval.begin >= interval.end) continue;
    if (!made.runs_.empty() && interval.begin <= made.runs_.back().end) {
      Run& last = made.runs_.back();
      total += std::max<int64_t>(interval.end - last.end, 0);
      last.end = std::max(last.end, interval.end);
    } else {
      made.runs_.push_back({interval.begin, interval.end, total});
      total += interval.end - interval.begin;
    }
  }
  made.table_.resize(static_cast<size_t>(total * 2 * made.half_));
  for (const Run& run : made.runs_) {
    float* out = made.table_.data() + run.offset * 2 * made.half_;
    for (int64_t d = run.begin; d < run.end; ++d, out += 2 * made.half_) {
      make_rotation(d, inv_freq, out);
    }
  }
  return made;
}

const Rotations::Run* Rotations::find(int64_t distance) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), distance,
                       [](int64_t value, const Run& run) { return value < run.begin; });
  if (after == runs_.begin()) return nullptr;
  const Run& run = *(after - 1);
  return distance < run.end ? &run : nullptr;
}

bool Rotations::covers(int64_t distance) const { return find(distance) != nullptr; }

const float* Rotations::cosine(int64_t distance) const {
  const Run* run = find(distance);
  return table_.data() + (run->offset + distance - run->begin) * 2 * half_;
}

}  // namespace dbsa::cpu
