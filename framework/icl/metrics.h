// Figures of a run: accuracy with its interval, macro-F1, percentiles.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dbsa {

struct Interval {
  double low = 0;
  double high = 0;
};

// Wilson's score interval for a proportion of `correct` in `count`, at 95 % (z = 1.959964). [0, 1]
// for count = 0. Unlike accuracy +- 1.96 standard errors it holds near 0 and 1 and for few queries.
Interval wilson_interval(int64_t correct, int64_t count);

struct Scores {
  int64_t count = 0;  // answers that have an expected label
  int64_t correct = 0;
  double accuracy = 0;  // correct / count, 0 for count = 0
  Interval accuracy_95;
  double macro_f1 = 0;
};

// Scores answers where an expected label is given (not ""). An answer is right when it equals the
// expected label byte for byte. Macro-F1: the mean, each label weighing the same, of
// F1 = 2 TP / (2 TP + FP + FN) over the labels that occur as expected or as predicted; as
// scikit-learn's f1_score(average="macro"). A query without an answer ("") is wrong. Both spans
// have one entry a query.
Scores score_answers(std::span<const std::string> expected, std::span<const std::string> predicted);

// The p-th percentile (0 < p <= 100) by nearest rank: the least value that p % of the values do not
// exceed. Always one of the values; 0 for none.
double percentile(std::span<const double> values, double p);

}  // namespace dbsa
