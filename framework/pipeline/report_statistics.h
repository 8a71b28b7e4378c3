// What a report says about repeated runs: means with their intervals, ratios of paired runs, and
// where one way of answering becomes cheaper than another.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "icl/metrics.h"

namespace dbsa {

struct Summary {
  int64_t count = 0;
  double mean = 0;
  std::optional<double> deviation;   // with n - 1; from two values on
  std::optional<Interval> interval;  // 95 % of the mean, Student's t; from two values on
};

// The value that a Student's t of `degrees` >= 1 degrees of freedom exceeds in magnitude with
// probability 0.05.
double student_t_95(int64_t degrees);

// Nothing for no values.
std::optional<Summary> summarize(std::span<const double> values);

// A summary whose interval ends where a share can end.
Summary clamped_to_share(Summary summary);

// Of first / second for each pair; pairs with a second of 0 are left out.
std::optional<Summary> summarize_ratios(std::span<const std::pair<double, double>> pairs);

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
