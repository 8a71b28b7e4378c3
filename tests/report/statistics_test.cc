#include "pipeline/report_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace dbsa {
namespace {

TEST(ReportStatistics, QuantilesOfStudentsT) {
  // 1 and 2 degrees have closed forms; the rest is from printed tables.
  EXPECT_NEAR(student_t_95(1), std::tan(std::numbers::pi * 0.475), 1e-9);
  EXPECT_NEAR(student_t_95(2), 2 * 0.475 * std::sqrt(2 / (1 - 4 * 0.475 * 0.475)), 1e-9);
  EXPECT_NEAR(student_t_95(4), 2.7764, 5e-5);
  EXPECT_NEAR(student_t_95(9), 2.2622, 5e-5);
  EXPECT_NEAR(student_t_95(30), 2.0423, 5e-5);
  EXPECT_NEAR(student_t_95(1000000), 1.95996, 5e-5);
}

// The quantile against the integral of the density, by Simpson's rule.
TEST(ReportStatistics, QuantilesLeaveFivePercentOutside) {
  for (const int64_t degrees : {1, 3, 9, 25}) {
    const auto n = static_cast<double>(degrees);
    const double scale =
        std::exp(std::lgamma((n + 1) / 2) - std::lgamma(n / 2)) / std::sqrt(n * std::numbers::pi);
    const auto density = [&](double t) { return scale * std::pow(1 + t * t / n, -(n + 1) / 2); };
    const double limit = student_t_95(degrees);
    constexpr int kSteps = 20000;
    double inside = density(0) + density(limit);
    for (int i = 1; i < kSteps; ++i) inside += density(limit * i / kSteps) * (i % 2 == 1 ? 4 : 2);
    EXPECT_NEAR(2 * inside * limit / kSteps / 3, 0.95, 1e-9) << degrees;
  }
}

TEST(ReportStatistics, MeanDeviationInterval) {
  // Mean 0.82; squares 0.0004 + 0 + 0.0004, over 2: deviation 0.02. t(2) = 4.3027.
  const std::vector<double> values = {0.80, 0.82, 0.84};
  const auto summary = summarize(values);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->count, 3);
  EXPECT_NEAR(summary->mean, 0.82, 1e-12);
  EXPECT_NEAR(*summary->deviation, 0.02, 1e-12);
  EXPECT_NEAR(summary->interval->low, 0.82 - 4.302653 * 0.02 / std::sqrt(3), 1e-7);
  EXPECT_NEAR(summary->interval->high, 0.82 + 4.302653 * 0.02 / std::sqrt(3), 1e-7);
}

TEST(ReportStatistics, OneValueHasNoSpreadAndNoneNoSummary) {
  const std::vector<double> one = {3};
  const auto summary = summarize(one);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->mean, 3);
  EXPECT_FALSE(summary->deviation);
  EXPECT_FALSE(summary->interval);
  EXPECT_FALSE(summarize({}));
}

TEST(ReportStatistics, AShareStaysBetweenNothingAndAll) {
  const Summary summary = clamped_to_share({2, 0.9, 0.2, Interval{-0.9, 2.7}});
  EXPECT_EQ(summary.interval->low, 0);
  EXPECT_EQ(summary.interval->high, 1);
}

TEST(ReportStatistics, RatiosAreOfPairs) {
  const std::vector<std::pair<double, double>> pairs = {{1, 2}, {3, 2}, {5, 0}};
  const auto ratio = summarize_ratios(pairs);
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->count, 2);
  EXPECT_EQ(ratio->mean, 1);  // of 0.5 and 1.5; a baseline of 0 has no ratio
  const std::vector<std::pair<double, double>> none = {{1, 0}};
  EXPECT_FALSE(summarize_ratios(none));
}

TEST(ReportStatistics, BreakEven) {
  // 1 + 0.04 n = 4 + 0.01 n at n = 100, after 5 seconds.
  const auto crossing = break_even({1, 0.04}, {4, 0.01});
  ASSERT_TRUE(crossing);
  EXPECT_NEAR(crossing->requests, 100, 1e-9);
  EXPECT_NEAR(crossing->seconds, 5, 1e-9);
  EXPECT_FALSE(break_even({4, 0.01}, {1, 0.04}));  // the other way round
  EXPECT_FALSE(break_even({1, 0.04}, {1, 0.01}));  // no more setup
  EXPECT_FALSE(break_even({1, 0.04}, {4, 0.04}));  // never catches up
  EXPECT_FALSE(break_even({0, 1e-320}, {1e300, 0}));
}

}  // namespace
}  // namespace dbsa
