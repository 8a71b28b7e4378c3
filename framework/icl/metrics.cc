#include "icl/metrics.h"

#include <algorithm>
#include <cmath>

#include "icl/confusion.h"

namespace dbsa {

Interval wilson_interval(int64_t correct, int64_t count) {
  if (count <= 0) return {0, 1};
  constexpr double z = 1.959963984540054;  // 97.5 % quantile of the normal distribution
  const double n = static_cast<double>(count);
  const double p = static_cast<double>(correct) / n;
  const double centre = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  // At p = 0 and 1 the bound is exactly p; rounding must not carry it outside.
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

Scores score_answers(std::span<const std::string> expected,
                     std::span<const std::string> predicted) {
  ConfusionMatrix matrix;
  Scores scores;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].empty()) continue;
    ++scores.count;
    scores.correct += expected[i] == predicted[i] ? 1 : 0;
    matrix.add(expected[i], predicted[i]);
  }
  scores.accuracy_95 = wilson_interval(scores.correct, scores.count);
  if (scores.count == 0) return scores;
  scores.accuracy = static_cast<double>(scores.correct) / static_cast<double>(scores.count);
  const std::vector<LabelScores> labels = matrix.labels();
  for (const LabelScores& label : labels) scores.macro_f1 += label.f1;
  scores.macro_f1 /= static_cast<double>(labels.size());
  return scores;
}

double percentile(std::span<const double> values, double p) {
  if (values.empty()) return 0;
  std::vector<double> copy(values.begin(), values.end());
  const double rank = std::ceil(p / 100 * static_cast<double>(copy.size()) - 1e-9);
  const auto index =
      std::clamp<int64_t>(static_cast<int64_t>(rank) - 1, 0, static_cast<int64_t>(copy.size()) - 1);
  std::nth_element(copy.begin(), copy.begin() + index, copy.end());
  return copy[index];
}

}  // namespace dbsa
