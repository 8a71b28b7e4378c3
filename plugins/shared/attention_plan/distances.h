// The distances at which the rows of a plan meet its segments, numbered.
#pragma once

#include "plugins/shared/attention_plan/check.h"

#include <cstdint>
#include <vector>

namespace dbsa::attention_plan {

class Distances {
 public:
  // The union of the intervals. Cost: intervals.size() log.
  static Distances of(std::vector<Interval> intervals);

  int64_t count() const { return count_; }
  // Ascending, disjoint, not touching.
  const std::vector<Interval>& runs() const { return runs_; }
  bool covers(int64_t distance) const;
  // 0..count-1, ascending with the distance, which must be covered.
  int64_t index(int64_t distance) const;

 private:
  std::vector<Interval> runs_;
  std::vector<int64_t> first_;  // index of each run's `begin`
  int64_t count_ = 0;
};

// Adds the distances of `rows` rows at `positions` from each shift of segments first.. to the list:
// as one interval where the rows lie close together, else one by one.
void add_distances(const int32_t* positions, int64_t rows, const dbsa_segment* segments,
                   int64_t count, std::vector<Interval>& intervals);

}  // namespace dbsa::attention_plan
