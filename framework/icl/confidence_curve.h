// How often the likeliest label is right, as a logistic curve of its log-odds (Platt 1999), fitted
// to which answers were right.
#pragma once

#include <span>
#include <vector>

#include "icl/temperature.h"

namespace dbsa {

// The log-odds log(p / (1 - p)) of the likeliest label become slope * log-odds + offset. These
// values leave them as they are.
struct ConfidenceCurve {
  double slope = 1;  // at least 0
  double offset = 0;
  bool operator==(const ConfidenceCurve&) const = default;
};

// The curve of the least sum of -log p of right answers and -log (1 - p) of wrong ones, p being
// that of the answer's label at the temperature. Right and wrong count as Platt's targets, a little
// short of 1 and 0, so that it is finite. Newton's method with halved steps (Lin, Lin and Weng
// 2007). The curve that changes nothing for no answer of two labels or more. Cost: O(scores).
ConfidenceCurve fit_confidence_curve(std::span<const ScoredAnswer> answers, double temperature);

// Gives the likeliest label the curve's probability, at least that of the second, and the others
// the rest in their own shares. log_probabilities: [labels], of the sum 1. Cost: O(labels).
void apply_confidence_curve(const ConfidenceCurve& curve, std::span<double> log_probabilities);

}  // namespace dbsa
