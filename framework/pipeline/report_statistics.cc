#include "pipeline/report_statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

namespace dbsa {

double student_t_95(int64_t degrees) {
  const boost::math::students_t distribution(static_cast<double>(degrees));
  return boost::math::quantile(distribution, 0.975);
}

std::optional<Summary> summarize(std::span<const double> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  Summary summary;
  summary.count = static_cast<int64_t>(values.size());
  for (const double value : values) summary.mean += value / count;
  if (values.size() < 2) return summary;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  summary.deviation = std::sqrt(squares / (count - 1));
  const double half = student_t_95(summary.count - 1) * *summary.deviation / std::sqrt(count);
  summary.interval = Interval{summary.mean - half, summary.mean + half};
  return summary;
}

Summary clamped_to_share(Summary summary) {
  if (summary.interval)
    summary.interval =
        Interval{std::max(0.0, summary.interval->low), std::min(1.0, summary.interval->high)};
  return summary;
}

std::optional<Summary> summarize_ratios(std::span<const std::pair<double, double>> pairs) {
  std::vector<double> ratios;
  for (const auto& [first, second] : pairs)
    if (second != 0) ratios.push_back(first / second);
  return summarize(ratios);
}

std::optional<Crossing> break_even(const Cost& hasty, const Cost& patient) {
  const double more_setup = patient.setup - hasty.setup;
  const double saved = hasty.request - patient.request;
  if (more_setup <= 0 || saved <= 0) return {};
  const double requests = more_setup / saved;
  if (!std::isfinite(requests)) return {};
  return Crossing{requests, hasty.setup + requests * hasty.request};
}

}  // namespace dbsa
