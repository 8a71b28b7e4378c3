// What a report says about repeated runs: means with their intervals, and where one way of
// answering becomes cheaper than another.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "icl/intervals.h"

namespace dbsa {

struct Summary {
  int64_t count = 0;
  double mean = 0;
  std::optional<double> deviation;   // with n - 1; from two values on
  std::optional<Interval> interval;  // 95 % of the mean, see report_intervals.h
  Covers covers;                     // of the interval
};

// Without an interval. Nothing for no values.
std::optional<Summary> summarize(std::span<const double> values);

// For times and sizes of runs: with an interval that covers other runs, from kFewDraws values on.
std::optional<Summary> summarize_positive(std::span<const double> values);

void set_interval(Summary& summary, const std::optional<CoveredInterval>& interval);

// Time as a line: what is paid once, and for each request. Seconds.
struct Cost {
  double setup = 0;
  double request = 0;
};

struct Crossing {
  double requests = 0;  // where both have taken the same time
  double seconds = 0;
};

// Where `patient`, with more setup and cheaper requests, catches up with `hasty`. Nothing where it
// is no such pair.
std::optional<Crossing> break_even(const Cost& hasty, const Cost& patient);

}  // namespace dbsa
