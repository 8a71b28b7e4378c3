// Studies with a known truth: answers and times of two methods with the same draws and queries,
// made up by a model, and how often the intervals of a report hold the truth.
//
// An answer is right with probability sigmoid(m + draw + query + query of the method), the effects
// normal; a time is exp of such a sum. So easy and hard queries, good and bad draws are the same
// for both methods in part. m and the draws' spread are solved for, so that the mean over all draws
// and queries and the standard deviation over draws are what the scenario says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dbsa {

struct Scenario {
  size_t draws = 3, queries = 25;
  double accuracy = 0.5;    // of one method; of the other, 0.05 less
  double deviation = 0.08;  // of a method's accuracy, and of log times, between draws
};

// Shares of studies whose interval holds the truth: over all draws and queries; with fewer than
// three draws, over all queries with those draws.
struct Coverage {
  double accuracy = 0, difference = 0, ratio = 0;
  // Intervals that have no width, leave their range or miss their own mean.
  int64_t faults = 0;
};

Coverage measure_coverage(const Scenario& scenario, int64_t studies, uint64_t seed);

// 1, 2, 3 and 10 draws, 25 and 250 queries, accuracies of 0.5 and 0.95, draws that differ by 0.005
// and 0.08.
std::vector<Scenario> all_scenarios();

}  // namespace dbsa
