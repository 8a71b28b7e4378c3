// 95 % intervals of means over answers to the same queries with several draws of demonstrations.
//
// The answers are a layout of draws (rows) and queries (columns), crossed: a draw answers every
// query, a query is answered with every draw. Both are samples of what could have been asked and
// drawn, so the variance of the mean has three parts, for N cells of D draws and Q queries:
//
//   var(mean) = draws / D + queries / Q + residual / N
//
// They are estimated by moments, from the sums of squares within draws, within queries and of all
// cells (analysis of variance, where every cell is there; Gao and Owen 2017,
// doi:10.1214/17-EJS1279, where some are missing), with the degrees of freedom of Satterthwaite.
// With fewer than kFewDraws draws nothing can be said of other draws: the interval then covers the
// choice of queries only.
//
// tools/acceptance/interval_coverage.cc measures how often these intervals hold the truth.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "icl/metrics.h"

namespace dbsa {

inline constexpr size_t kFewDraws = 3;

struct LayoutCell {
  size_t row = 0;       // the draw; of times, the run
  uint64_t column = 0;  // the query, by its text
  double value = 0;
  double weight = 1;  // how many queries of that text the value is the mean of
};
using Layout = std::span<const LayoutCell>;

// What an interval speaks for: other draws, other queries.
struct Covers {
  bool rows = false, columns = false;
  bool operator==(const Covers&) const = default;
};

struct CoveredInterval {
  Interval interval;
  Covers covers;
};

// How far the mean of the cells, each counted by its weight, may be from the mean over all draws
// and queries.
struct Spread {
  double variance = 0;
  double degrees = 1;  // of freedom, >= 1
  Covers covers;       // neither: a single cell, or none
  size_t rows = 0, columns = 0;
};
// Cost: O(cells).
Spread spread_of_mean(Layout cells);

// The value that a Student's t of `degrees` >= 1 degrees of freedom exceeds in magnitude with
// probability 0.05.
double student_t_95(double degrees);

// Each interval holds the mean it belongs to. Nothing where the layout says nothing.
//
// For an accuracy, cells in [0, 1]: Wilson's interval with the number of independent answers that
// would vary as much, and with the number of distinct queries (of equal weight) where all are right
// or all wrong. In [0, 1].
std::optional<CoveredInterval> accuracy_interval(double mean, Layout cells);

struct Share {
  double mean = 0;
  Layout cells;  // in [0, 1]
};
// For own - base, whose cells are the same draws and queries in the same order: from both
// accuracies' intervals and the correlation of their means (Newcombe 1998, Statistics in Medicine
// 17, 2635-2650, method 10). In [-1, 1].
std::optional<CoveredInterval> difference_interval(const Share& own, const Share& base);
// For a positive figure, on a logarithmic scale. cells: relative deviations from it, so that their
// spread is that of its logarithm. Above 0.
std::optional<CoveredInterval> positive_interval(double figure, Layout cells);

}  // namespace dbsa
