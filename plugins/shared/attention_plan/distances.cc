#include "plugins/shared/attention_plan/distances.h"

#include <algorithm>

namespace dbsa::attention_plan {

Distances Distances::of(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  Distances made;
  for (const Interval& interval : intervals) {
    if (interval.begin >= interval.end) continue;
    if (!made.runs_.empty() && interval.begin <= made.runs_.back().end) {
      Interval& last = made.runs_.back();
      made.count_ += std::max<int64_t>(interval.end - last.end, 0);
      last.end = std::max(last.end, interval.end);
    } else {
      made.runs_.push_back(interval);
      made.first_.push_back(made.count_);
      made.count_ += interval.end - interval.begin;
    }
  }
  return made;
}

bool Distances::covers(int64_t distance) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), distance,
                       [](int64_t value, const Interval& run) { return value < run.begin; });
  return after != runs_.begin() && distance < (after - 1)->end;
}

int64_t Distances::index(int64_t distance) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), distance,
                       [](int64_t value, const Interval& run) { return value < run.begin; });
  const auto run = static_cast<size_t>(after - runs_.begin()) - 1;
  return first_[run] + distance - runs_[run].begin;
}

void add_distances(const int32_t* positions, int64_t rows, const dbsa_segment* segments,
                   int64_t count, std::vector<Interval>& intervals) {
  const auto [low, high] = std::minmax_element(positions, positions + rows);
  const int64_t span = static_cast<int64_t>(*high) - *low + 1;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t by = shift(segments[s]);
    if (s > 0 && by == shift(segments[s - 1])) continue;
    if (span <= 2 * rows) {
      intervals.push_back({*low - by, *high - by + 1});
    } else {
      for (int64_t i = 0; i < rows; ++i) {
        intervals.push_back({positions[i] - by, positions[i] - by + 1});
      }
    }
  }
}

}  // namespace dbsa::attention_plan
