#include "icl/intervals.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <unordered_map>
#include <vector>

namespace dbsa {
namespace {

constexpr double kNormal95 = 1.959963984540054;  // 97.5 % quantile of the normal distribution

double square(double value) { return value * value; }

// Cells that share a row, or a column.
struct LineSums {
  double count = 0, sum = 0;
};

template <typename Key>
using Lines = std::unordered_map<Key, LineSums>;

// Sum of squares around the means of the lines.
template <typename Key>
double squares_within(const Lines<Key>& lines, Layout cells, Key LayoutCell::*key) {
  double squares = 0;
  for (const LayoutCell& cell : cells) {
    const LineSums& line = lines.at(cell.*key);
    squares += square(cell.value - line.sum / line.count);
  }
  return squares;
}

// Mean number of cells in the line of a cell.
template <typename Key>
double cells_in_line(const Lines<Key>& lines, double cells) {
  double squares = 0;
  for (const auto& [key, line] : lines) squares += square(line.count) / cells;
  return squares;
}

// Parts of the variance of the mean, each with the residual's part in it.
struct Parts {
  double rows = 0, columns = 0, residual = 0;
};

// Solves, for the variances of rows (r), columns (c) and the residual (e), with n cells:
//   within rows     c + e = a
//   within columns  r + e = b
//   all             r (n - n_row) + c (n - n_column) + e (n - 1) = total
Parts solve(double n, double row_count, double column_count, double n_row, double n_column,
            double within_rows, double within_columns, double total) {
  const bool shared = column_count < n;  // some query was answered with two draws
  double rows = 0, columns = 0, residual = 0;
  if (!shared) {  // queries and residual are one
    columns = n > row_count ? within_rows / (n - row_count) : 0;
    if (row_count > 1) rows = (total - columns * (n - n_column)) / (n - n_row);
  } else if (column_count < 2 || row_count < 2) {
    rows = within_columns / (n - column_count);
  } else {
    const double a = n > row_count ? within_rows / (n - row_count) : 0;
    const double b = within_columns / (n - column_count);
    residual = (b * (n - n_row) + a * (n - n_column) - total) / (n + 1 - n_row - n_column);
    residual = std::clamp(residual, 0.0, 2 * std::max(a, b));  // far off where few are shared
    rows = b - residual;
    columns = a - residual;
  }
  return {std::max(0.0, (rows * n_row + residual) / n),
          std::max(0.0, (columns * n_column + residual) / n), residual / n};
}

Interval wilson(double share, double count, double quantile) {
  const double z = square(quantile) / count;
  const double centre = (share + z / 2) / (1 + z);
  const double half = std::sqrt(z * share * (1 - share) + square(z) / 4) / (1 + z);
  // Rounding must not carry an end over the mean.
  return {std::clamp(centre - half, 0.0, share), std::clamp(centre + half, share, 1.0)};
}

}  // namespace

double student_t_95(double degrees) {
  const boost::math::students_t distribution(degrees);
  return boost::math::quantile(distribution, 0.975);
}

namespace {

// Cells whose plain mean is the weighted mean of these, and varies as it does (to first order, as
// of a ratio of sums: Cochran 1977, Sampling Techniques, section 6.4).
std::vector<LayoutCell> of_equal_weight(Layout cells) {
  std::vector<LayoutCell> equal(cells.begin(), cells.end());
  if (std::all_of(cells.begin(), cells.end(),
                  [&](const LayoutCell& cell) { return cell.weight == cells[0].weight; }))
    return equal;
  double sum = 0, weights = 0;
  for (const LayoutCell& cell : cells) {
    sum += cell.weight * cell.value;
    weights += cell.weight;
  }
  const double mean_weight = weights / static_cast<double>(cells.size());
  for (LayoutCell& cell : equal)
    cell.value = sum / weights + cell.weight / mean_weight * (cell.value - sum / weights);
  return equal;
}

// How many queries of equal weight say as much as these (Kish 1965, Survey Sampling).
double effective_queries(Layout cells) {
  std::unordered_map<uint64_t, double> weights;  // by column
  for (const LayoutCell& cell : cells) weights[cell.column] += cell.weight;
  double sum = 0, squares = 0;
  for (const auto& [column, weight] : weights) {
    sum += weight;
    squares += square(weight);
  }
  return square(sum) / squares;
}

// The spread of the mean, never less than `least` times its larger part: parts of few draws are so
// uncertain that little may be gained by subtracting one from the other. `least` and the tenth
// below were chosen on simulated studies (tools/acceptance/interval_coverage.cc) and checked with
// other seeds.
Spread spread_with_floor(Layout weighted, double least) {
  const std::vector<LayoutCell> cells = of_equal_weight(weighted);
  Lines<size_t> rows;
  Lines<uint64_t> columns;
  const auto n = static_cast<double>(cells.size());
  double sum = 0, total = 0;
  for (const LayoutCell& cell : cells) {
    for (LineSums* line : {&rows[cell.row], &columns[cell.column]}) {
      line->count += 1;
      line->sum += cell.value;
    }
    sum += cell.value;
  }
  for (const LayoutCell& cell : cells) total += square(cell.value - sum / n);
  Spread spread;
  spread.rows = rows.size();
  spread.columns = columns.size();
  spread.covers = {rows.size() >= kFewDraws, columns.size() > 1};
  if (cells.empty()) return spread;
  const auto row_count = static_cast<double>(rows.size());
  const auto column_count = static_cast<double>(columns.size());
  const Parts parts =
      solve(n, row_count, column_count, cells_in_line(rows, n), cells_in_line(columns, n),
            squares_within(rows, cells, &LayoutCell::row),
            squares_within(columns, cells, &LayoutCell::column), total);
  if (!spread.covers.rows) {
    spread.variance = parts.columns;
    spread.degrees = std::max(1.0, column_count - 1);
    return spread;
  }
  spread.variance = std::max(parts.rows + parts.columns - parts.residual,
                             least * std::max(parts.rows, parts.columns));
  const double residual_degrees = std::max(1.0, n - row_count - column_count + 1);
  const double uncertainty = square(parts.rows) / (row_count + 1) +
                             square(parts.columns) / (column_count + 1) +
                             square(parts.residual) / (residual_degrees + 2);
  if (uncertainty > 0) spread.degrees = std::max(1.0, square(spread.variance) / uncertainty - 2);
  // Where most draws are good and a few bad, the bad ones are often not among those drawn.
  spread.variance += 0.1 * std::max(0.0, parts.rows - parts.residual);
  return spread;
}

}  // namespace

Spread spread_of_mean(Layout cells) { return spread_with_floor(cells, 1); }

std::optional<CoveredInterval> accuracy_interval(double mean, Layout cells) {
  if (cells.empty()) return {};
  const Spread spread = spread_of_mean(cells);
  const double queries = effective_queries(cells);
  const Covers covers = {spread.covers.rows, true};
  const double single = mean * (1 - mean);  // variance of one answer
  if (spread.rows == 1 || single <= 0)
    return CoveredInterval{wilson(mean, queries, kNormal95), covers};
  const double variance =
      std::clamp(spread.variance, single / static_cast<double>(cells.size()), single);
  return CoveredInterval{wilson(mean, single / variance, student_t_95(spread.degrees)), covers};
}

std::optional<CoveredInterval> difference_interval(const Share& own, const Share& base) {
  const auto own_interval = accuracy_interval(own.mean, own.cells);
  const auto base_interval = accuracy_interval(base.mean, base.cells);
  if (!own_interval || !base_interval || own.cells.size() != base.cells.size()) return {};
  std::vector<LayoutCell> differences(own.cells.begin(), own.cells.end());
  for (size_t i = 0; i < differences.size(); ++i) differences[i].value -= base.cells[i].value;
  const Spread spread = spread_with_floor(differences, 0.5);
  const double own_variance = spread_of_mean(own.cells).variance;
  const double base_variance = spread_of_mean(base.cells).variance;
  double correlation = 0;
  if (own_variance > 0 && base_variance > 0)
    correlation = std::clamp((own_variance + base_variance - spread.variance) /
                                 (2 * std::sqrt(own_variance * base_variance)),
                             -1.0, 1.0);
  // Equal answers to some queries do not prove equal answers to all.
  const double queries = effective_queries(own.cells);
  correlation *= queries / (queries + 2);
  const auto half = [&](double of_own, double of_base) {
    return std::sqrt(square(of_own) + square(of_base) - 2 * correlation * of_own * of_base);
  };
  const double difference = own.mean - base.mean;
  const Interval &a = own_interval->interval, &b = base_interval->interval;
  return CoveredInterval{{std::max(-1.0, difference - half(own.mean - a.low, b.high - base.mean)),
                          std::min(1.0, difference + half(a.high - own.mean, base.mean - b.low))},
                         own_interval->covers};
}

std::optional<CoveredInterval> positive_interval(double figure, Layout cells) {
  const Spread spread = spread_of_mean(cells);
  if (figure <= 0 || spread.variance <= 0) return {};
  const double factor = std::exp(student_t_95(spread.degrees) * std::sqrt(spread.variance));
  return CoveredInterval{{figure / factor, figure * factor}, spread.covers};
}

}  // namespace dbsa
