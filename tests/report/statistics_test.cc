#include "report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dbsa {
namespace {

TEST(ReportStatistics, MeanAndDeviation) {
  // Mean 0.82; squares 0.0004 + 0 + 0.0004, over 2: deviation 0.02.
  const std::vector<double> values = {0.80, 0.82, 0.84};
  const auto summary = summarize(values);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->count, 3);
  EXPECT_NEAR(summary->mean, 0.82, 1e-12);
  EXPECT_NEAR(*summary->deviation, 0.02, 1e-12);
  EXPECT_FALSE(summary->interval);
}

// t(2) = 4.3027 on the logarithmic scale, of a relative standard error of 0.02 / 0.82 / sqrt(3),
// with a tenth more variance.
TEST(ReportStatistics, TimesHaveAnIntervalFromThreeRunsOn) {
  const std::vector<double> values = {0.80, 0.82, 0.84};
  const auto summary = summarize_positive(values);
  const double factor = std::exp(4.302653 * 0.02 / 0.82 / std::sqrt(3) * std::sqrt(1.1));
  EXPECT_NEAR(summary->interval->low, 0.82 / factor, 1e-7);
  EXPECT_NEAR(summary->interval->high, 0.82 * factor, 1e-7);
  EXPECT_EQ(summary->covers, (Covers{true, false}));
  EXPECT_FALSE(summarize_positive(std::vector{0.8, 0.9})->interval);
  EXPECT_FALSE(summarize_positive(std::vector{0.0, 0.0, 0.0})->interval);
  EXPECT_GT(summarize_positive(std::vector{1e-3, 10.0, 1e-3})->interval->low, 0);
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
