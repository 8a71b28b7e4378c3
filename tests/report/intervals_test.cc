// Intervals over draws and queries.
#include "icl/intervals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "tests/report/simulated_study.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using Table = std::vector<std::vector<double>>;  // [draw][query]

std::vector<LayoutCell> cells_of(const Table& table) {
  std::vector<LayoutCell> cells;
  for (size_t row = 0; row < table.size(); ++row)
    for (size_t column = 0; column < table[row].size(); ++column)
      cells.push_back({row, column, table[row][column]});
  return cells;
}

double mean_of_table(const Table& table) {
  double mean = 0;
  for (const auto& row : table)
    for (const double value : row) mean += value;
  return mean / static_cast<double>(table.size() * table[0].size());
}

Table random_table(size_t draws, size_t queries, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  Table table(draws, std::vector<double>(queries));
  for (auto& row : table)
    for (double& value : row) value = uniform(random);
  return table;
}

// A text that k queries have is one query of weight k.
TEST(Intervals, RepeatedQueriesSayNoMoreThanOnce) {
  std::vector<LayoutCell> once, twenty;
  for (uint64_t query = 0; query < 12; ++query) {
    once.push_back({0, query, query < 6 ? 1.0 : 0.0});
    twenty.push_back({0, query, query < 6 ? 1.0 : 0.0, 20});
  }
  const Interval expected = accuracy_interval(0.5, once)->interval;
  const Interval found = accuracy_interval(0.5, twenty)->interval;
  EXPECT_DOUBLE_EQ(found.low, expected.low);
  EXPECT_DOUBLE_EQ(found.high, expected.high);
  // One text that has nearly all queries leaves hardly more than one.
  twenty[0].weight = 10000;
  EXPECT_GT(
      accuracy_interval(0.9, twenty)->interval.high - accuracy_interval(0.9, twenty)->interval.low,
      0.7);
}

// The spread of a weighted mean, against draws of the queries with replacement.
TEST(Intervals, WeightsCountInTheSpread) {
  std::vector<LayoutCell> cells;
  for (size_t row = 0; row < 2; ++row)
    for (uint64_t query = 0; query < 40; ++query)
      cells.push_back({row, query, static_cast<double>(query * query % 7), 1.0 + query % 3 * 2});
  std::mt19937_64 random(7);
  double sum = 0, squares = 0;
  constexpr int kSamples = 20000;
  for (int sample = 0; sample < kSamples; ++sample) {
    double values = 0, weights = 0;
    for (int i = 0; i < 40; ++i) {
      const LayoutCell& cell = cells[random() % 40];
      values += cell.weight * cell.value;
      weights += cell.weight;
    }
    sum += values / weights;
    squares += values / weights * (values / weights);
  }
  const double variance = squares / kSamples - sum / kSamples * (sum / kSamples);
  EXPECT_NEAR(spread_of_mean(cells).variance / variance, 1, 0.15);
}

TEST(ReportIntervals, QuantilesOfStudentsT) {
  // 1 and 2 degrees have closed forms; the rest is from printed tables.
  EXPECT_NEAR(student_t_95(1), std::tan(std::numbers::pi * 0.475), 1e-9);
  EXPECT_NEAR(student_t_95(2), 2 * 0.475 * std::sqrt(2 / (1 - 4 * 0.475 * 0.475)), 1e-9);
  EXPECT_NEAR(student_t_95(4), 2.7764, 5e-5);
  EXPECT_NEAR(student_t_95(9), 2.2622, 5e-5);
  EXPECT_NEAR(student_t_95(30), 2.0423, 5e-5);
  EXPECT_NEAR(student_t_95(1000000), 1.95996, 5e-5);
}

// The quantile against the integral of the density, by Simpson's rule.
TEST(ReportIntervals, QuantilesLeaveFivePercentOutside) {
  for (const double n : {1.0, 2.5, 9.0, 25.0}) {
    const double scale =
        std::exp(std::lgamma((n + 1) / 2) - std::lgamma(n / 2)) / std::sqrt(n * std::numbers::pi);
    const auto density = [&](double t) { return scale * std::pow(1 + t * t / n, -(n + 1) / 2); };
    const double limit = student_t_95(n);
    constexpr int kSteps = 20000;
    double inside = density(0) + density(limit);
    for (int i = 1; i < kSteps; ++i) inside += density(limit * i / kSteps) * (i % 2 == 1 ? 4 : 2);
    EXPECT_NEAR(2 * inside * limit / kSteps / 3, 0.95, 1e-9) << n;
  }
}

// A whole table against the textbook: mean squares of rows, columns and the residual.
TEST(ReportIntervals, AWholeLayoutIsTheAnalysisOfVariance) {
  for (const uint64_t seed : {1, 2, 3}) {
    Table table = random_table(4, 7, seed);
    for (double& value : table[0]) value += 2;  // draws differ
    for (auto& row : table) row[0] += 3;        // queries differ
    const double mean = mean_of_table(table);
    double rows = 0, columns = 0, total = 0;
    for (const auto& row : table) {
      double sum = 0;
      for (const double value : row) {
        sum += value;
        total += (value - mean) * (value - mean);
      }
      rows += 7 * (sum / 7 - mean) * (sum / 7 - mean);
    }
    for (size_t q = 0; q < 7; ++q) {
      double sum = 0;
      for (const auto& row : table) sum += row[q];
      columns += 4 * (sum / 4 - mean) * (sum / 4 - mean);
    }
    const double of_rows = rows / 3 / 28, of_columns = columns / 6 / 28,
                 residual = (total - rows - columns) / 18 / 28;
    const double variance = of_rows + of_columns - residual;
    const double uncertainty =
        of_rows * of_rows / 5 + of_columns * of_columns / 8 + residual * residual / 20;
    const Spread spread = spread_of_mean(cells_of(table));
    // A tenth of what draws add, for those that are rarely seen.
    EXPECT_NEAR(spread.variance, variance + 0.1 * (of_rows - residual), 1e-9 * variance) << seed;
    EXPECT_NEAR(spread.degrees, variance * variance / uncertainty - 2, 1e-6) << seed;
    EXPECT_EQ(spread.covers, (Covers{true, true}));
  }
}

TEST(ReportIntervals, WithFewerThanThreeDrawsOnlyQueriesAreCovered) {
  // Means of the queries 0.5, 1 and 0: variance 0.25, over 3 queries.
  const Spread spread = spread_of_mean(cells_of({{1, 1, 0}, {0, 1, 0}}));
  EXPECT_NEAR(spread.variance, 0.25 / 3, 1e-12);
  EXPECT_EQ(spread.degrees, 2);
  EXPECT_EQ(spread.covers, (Covers{false, true}));
}

// Answers that are missing here and there change little; draws that share no query are read, too.
TEST(ReportIntervals, LayoutsWithMissingCells) {
  const Table table = random_table(5, 40, 7);
  std::vector<LayoutCell> some, apart;
  for (const LayoutCell& cell : cells_of(table))
    if ((cell.row * 40 + cell.column) % 19 != 0) some.push_back(cell);
  const double whole = spread_of_mean(cells_of(table)).variance;
  EXPECT_NEAR(spread_of_mean(some).variance, whole, 0.3 * whole);
  for (LayoutCell cell : cells_of(table)) {
    cell.column += 1000 * cell.row;
    apart.push_back(cell);
  }
  // 200 queries, each asked once: about as one sample where draws do not differ.
  EXPECT_GT(spread_of_mean(apart).variance, 0.7 / 12 / 200);
  EXPECT_LT(spread_of_mean(apart).variance, 3.0 / 12 / 200);
  EXPECT_EQ(spread_of_mean(apart).covers, (Covers{true, true}));
}

TEST(ReportIntervals, OneDrawHasWilsonsInterval) {
  const Table table = {{1, 1, 1, 0, 1, 0, 1, 1, 1, 1}};
  const auto found = accuracy_interval(0.8, cells_of(table));
  ASSERT_TRUE(found);
  const Interval wilson = wilson_interval(8, 10);
  EXPECT_NEAR(found->interval.low, wilson.low, 1e-12);
  EXPECT_NEAR(found->interval.high, wilson.high, 1e-12);
  EXPECT_EQ(found->covers, (Covers{false, true}));
}

TEST(ReportIntervals, AllRightIsWilsonsIntervalOverDistinctQueries) {
  const Table right(5, std::vector<double>(20, 1)), wrong(5, std::vector<double>(20, 0));
  const auto of_right = accuracy_interval(1, cells_of(right));
  EXPECT_NEAR(of_right->interval.low, wilson_interval(20, 20).low, 1e-12);
  EXPECT_EQ(of_right->interval.high, 1);
  const auto of_wrong = accuracy_interval(0, cells_of(wrong));
  EXPECT_EQ(of_wrong->interval.low, 0);
  EXPECT_NEAR(of_wrong->interval.high, wilson_interval(0, 20).high, 1e-12);
}

// Two runs that agree, and two that differ as much as they can.
TEST(ReportIntervals, TwoDrawsHaveAnIntervalThatCanBeTrue) {
  std::vector<double> first(25, 0), other(25, 1);
  for (size_t i = 0; i < 8; ++i) first[i] = 1;
  const auto agree = accuracy_interval(0.32, cells_of({first, first}));
  EXPECT_NEAR(agree->interval.low, wilson_interval(8, 25).low, 0.02);
  EXPECT_NEAR(agree->interval.high, wilson_interval(8, 25).high, 0.02);
  EXPECT_EQ(agree->covers, (Covers{false, true}));
  for (size_t i = 0; i < 8; ++i) other[i] = 0;
  const auto differ = accuracy_interval(0.5, cells_of({first, other}));
  EXPECT_LT(differ->interval.low, 0.4);
  EXPECT_GT(differ->interval.low, 0.3);
  EXPECT_GT(differ->interval.high, 0.6);
}

std::optional<CoveredInterval> difference_of(const Table& own, const Table& base) {
  return difference_interval({mean_of_table(own), cells_of(own)},
                             {mean_of_table(base), cells_of(base)});
}

TEST(ReportIntervals, ADifferenceStaysBetweenMinusOneAndOne) {
  const Table right(4, std::vector<double>(25, 1)), wrong(4, std::vector<double>(25, 0));
  const auto better = difference_of(right, wrong);
  EXPECT_EQ(better->interval.high, 1);
  EXPECT_GT(better->interval.low, 0.7);
  const auto worse = difference_of(wrong, right);
  EXPECT_EQ(worse->interval.low, -1);
}

// Equal answers are paired, so the interval is narrow, but no proof.
TEST(ReportIntervals, EqualAnswersHaveAnIntervalAroundNothing) {
  Table table(4, std::vector<double>(50, 1));
  for (auto& row : table)
    for (size_t query = 0; query < 25; ++query) row[query] = 0;
  const auto none = difference_of(table, table);
  EXPECT_LT(none->interval.low, -0.01);
  EXPECT_GT(none->interval.low, -0.1);
  EXPECT_NEAR(none->interval.low, -none->interval.high, 1e-12);
  Table other = table;  // other queries are right: as many, but not the same
  for (auto& row : other)
    for (double& value : row) value = 1 - value;
  EXPECT_LT(difference_of(table, other)->interval.low, 3 * none->interval.low);
}

TEST(ReportIntervals, APositiveFigureStaysPositive) {
  const auto found = positive_interval(0.4, cells_of({{0.9}, {-0.9}, {0.0}}));
  ASSERT_TRUE(found);
  EXPECT_GT(found->interval.low, 0);
  EXPECT_NEAR(found->interval.low * found->interval.high, 0.16, 1e-12);
  EXPECT_EQ(found->covers, (Covers{true, false}));
  EXPECT_FALSE(positive_interval(0.4, cells_of({{0.9}, {-0.9}})));           // one query, two runs
  EXPECT_FALSE(positive_interval(0.4, cells_of({{0, 0}, {0, 0}, {0, 0}})));  // nothing varies
  EXPECT_FALSE(positive_interval(0, cells_of({{0.1, 0}, {0, 0}, {0, 0}})));
}

TEST(ReportIntervals, NoAnswersNoInterval) {
  EXPECT_FALSE(accuracy_interval(0.5, {}));
  EXPECT_FALSE(difference_interval({0.5, {}}, {0.5, {}}));
  EXPECT_FALSE(positive_interval(0.5, {}));
}

// Every table of two or three draws and up to four queries.
TEST(ReportIntervals, AnIntervalHoldsItsMeanAndHasAWidth) {
  for (size_t draws = 1; draws <= 3; ++draws)
    for (size_t queries = 1; queries <= 4; ++queries)
      for (uint32_t bits = 0; bits < 1u << (draws * queries); ++bits) {
        Table table(draws, std::vector<double>(queries));
        for (size_t i = 0; i < draws * queries; ++i)
          table[i / queries][i % queries] = bits >> i & 1;
        const double mean = mean_of_table(table);
        const auto share = accuracy_interval(mean, cells_of(table));
        Table other = table;
        other[0][0] = 1 - other[0][0];
        const auto difference = difference_of(table, other);
        const double off = mean - mean_of_table(other);
        ASSERT_TRUE(share && difference);
        ASSERT_LT(share->interval.low, share->interval.high) << draws << queries << bits;
        ASSERT_LE(share->interval.low, mean);
        ASSERT_GE(share->interval.high, mean);
        ASSERT_GE(share->interval.low, 0);
        ASSERT_LE(share->interval.high, 1);
        ASSERT_LT(difference->interval.low, difference->interval.high);
        ASSERT_LE(difference->interval.low, off);
        ASSERT_GE(difference->interval.high, off);
        ASSERT_GE(difference->interval.low, -1);
        ASSERT_LE(difference->interval.high, 1);
      }
}

// tools/acceptance/interval_coverage.cc does this with 2,000 studies.
TEST(ReportIntervals, IntervalsHoldTheTruthOfSimulatedStudies) {
  for (const Scenario& scenario : all_scenarios()) {
    const Coverage found = measure_coverage(scenario, kSanitized ? 20 : 200, 20260131);
    SCOPED_TRACE(testing::Message()
                 << scenario.draws << " draws, " << scenario.queries << " queries, accuracy "
                 << scenario.accuracy << ", deviation " << scenario.deviation);
    const double least = kSanitized ? 0.7 : 0.85;
    EXPECT_GE(found.accuracy, least);
    EXPECT_GE(found.difference, least);
    EXPECT_GE(found.ratio, least);
    EXPECT_EQ(found.faults, 0);
  }
}

}  // namespace
}  // namespace dbsa
