#include "report/statistics.h"

#include <cmath>
#include <vector>

namespace dbsa {

std::optional<Summary> summarize(std::span<const double> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  Summary summary;
  summary.count = static_cast<int64_t>(values.size());
  for (const double value : values) summary.mean += value;
  summary.mean /= count;  // at the end, so that the mean of ones is 1
  if (values.size() < 2) return summary;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  summary.deviation = std::sqrt(squares / (count - 1));
  return summary;
}

std::optional<Summary> summarize_positive(std::span<const double> values) {
  std::optional<Summary> summary = summarize(values);
  if (!summary || values.size() < kFewDraws || summary->mean <= 0) return summary;
  std::vector<LayoutCell> cells;
  for (size_t run = 0; run < values.size(); ++run)
    cells.push_back({run, 0, values[run] / summary->mean - 1});
  set_interval(*summary, positive_interval(summary->mean, cells));
  return summary;
}

void set_interval(Summary& summary, const std::optional<CoveredInterval>& interval) {
  if (!interval) return;
  summary.interval = interval->interval;
  summary.covers = interval->covers;
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
