#include "icl/metrics.h"

#include <gtest/gtest.h>

namespace dbsa::testing {
namespace {

TEST(Wilson, EqualsPublishedValues) {
  // Newcombe 1998, table I (method 3): 81/263, 15/148, 0/20, 1/29.
  const struct {
    int64_t correct, count;
    double low, high;
  } kCases[] = {{81, 263, 0.2553, 0.3662},
                {15, 148, 0.0624, 0.1605},
                {0, 20, 0.0, 0.1611},
                {1, 29, 0.0061, 0.1718}};
  for (const auto& c : kCases) {
    const Interval interval = wilson_interval(c.correct, c.count);
    EXPECT_NEAR(interval.low, c.low, 5e-5) << c.correct;
    EXPECT_NEAR(interval.high, c.high, 5e-5) << c.correct;
  }
  EXPECT_EQ(wilson_interval(20, 20).high, 1.0);
  EXPECT_EQ(wilson_interval(0, 0).low, 0.0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1.0);
}

TEST(Scores, CountAnswersThatHaveAnExpectation) {
  const std::vector<std::string> expected = {"a", "b", "", "a", "b", "c"};
  const std::vector<std::string> predicted = {"a", "a", "x", "a", "b", "d"};
  const Scores scores = score_answers(expected, predicted);
  EXPECT_EQ(scores.count, 5);
  EXPECT_EQ(scores.correct, 3);
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.6);
  // a: TP 2, FP 1 -> 4/5. b: TP 1, FN 1 -> 2/3. c: FN 1 -> 0. d: FP 1 -> 0. x: not scored.
  EXPECT_DOUBLE_EQ(scores.macro_f1, (0.8 + 2.0 / 3 + 0 + 0) / 4);
  EXPECT_DOUBLE_EQ(scores.accuracy_95.low, wilson_interval(3, 5).low);
}

TEST(Scores, OfNothingAreZero) {
  const std::vector<std::string> none = {"", ""};
  const Scores scores = score_answers(none, none);
  EXPECT_EQ(scores.count, 0);
  EXPECT_EQ(scores.accuracy, 0.0);
  EXPECT_EQ(scores.macro_f1, 0.0);
  EXPECT_EQ(scores.accuracy_95.high, 1.0);
}

TEST(Percentile, IsTheNearestRank) {
  const std::vector<double> values = {15, 50, 20, 40, 35};
  EXPECT_EQ(percentile(values, 5), 15);
  EXPECT_EQ(percentile(values, 30), 20);
  EXPECT_EQ(percentile(values, 40), 20);
  EXPECT_EQ(percentile(values, 50), 35);
  EXPECT_EQ(percentile(values, 95), 50);
  EXPECT_EQ(percentile(values, 100), 50);
  EXPECT_EQ(percentile(std::vector<double>{7}, 50), 7);
  EXPECT_EQ(percentile({}, 50), 0);
  std::vector<double> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i);
  EXPECT_EQ(percentile(hundred, 50), 50);
  EXPECT_EQ(percentile(hundred, 95), 95);
}

}  // namespace
}  // namespace dbsa::testing
