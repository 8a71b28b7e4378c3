#include "icl/reliability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>

#include "tests/icl/uniform.h"

namespace dbsa {
namespace {

std::vector<Confidence> drawn_answers(Random& random, int64_t count, double offset) {
  std::vector<Confidence> answers;
  for (int64_t i = 0; i < count; ++i) {
    const double probability = 0.2 + 0.8 * uniform(random);
    answers.push_back({probability, uniform(random) < probability - offset});
  }
  return answers;
}

// Without equal probabilities: sorted, cut into ten, counted.
TEST(Reliability, EqualsItsDefinition) {
  const uint64_t seed = 20261129;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (const int64_t count : {10, 57, 1003}) {
    std::vector<Confidence> answers = drawn_answers(random, count, 0.2);
    const auto measured = measure_reliability(answers);
    ASSERT_TRUE(measured.has_value());
    EXPECT_EQ(measured->answers, count);
    std::sort(answers.begin(), answers.end(),
              [](const auto& a, const auto& b) { return a.probability < b.probability; });
    double error = 0;
    int64_t at = 0;
    ASSERT_EQ(measured->bins.size(), 10u);
    for (size_t b = 0; b < 10; ++b) {
      const ReliabilityBin& bin = measured->bins[b];
      EXPECT_LE(std::abs(bin.answers - count / 10), 1) << "of equal mass";
      EXPECT_EQ(bin.low, answers[static_cast<size_t>(at)].probability);
      double right = 0, sum = 0;
      for (const int64_t end = at + bin.answers; at < end; ++at) {
        right += answers[static_cast<size_t>(at)].right ? 1 : 0;
        sum += answers[static_cast<size_t>(at)].probability;
      }
      EXPECT_EQ(bin.high, answers[static_cast<size_t>(at - 1)].probability);
      const auto size = static_cast<double>(bin.answers);
      EXPECT_NEAR(bin.accuracy, right / size, 1e-12);
      EXPECT_NEAR(bin.confidence, sum / size, 1e-12);
      error += std::fabs(right - sum) / static_cast<double>(count);
    }
    EXPECT_EQ(at, count);
    EXPECT_NEAR(measured->error, error, 1e-12);
  }
}

TEST(Reliability, ChanceAloneMakesWhatSimulatedModelsShow) {
  Random random(11);
  std::vector<Confidence> answers = drawn_answers(random, 200, 0);
  const auto measured = measure_reliability(answers);
  double sum = 0, squares = 0;
  constexpr int kModels = 1000;
  for (int model = 0; model < kModels; ++model) {
    for (Confidence& answer : answers) answer.right = uniform(random) < answer.probability;
    const double error = measure_reliability(answers)->error;
    sum += error;
    squares += error * error;
  }
  const double mean = sum / kModels;
  const double deviation = std::sqrt((squares / kModels - mean * mean) / kModels);
  std::cout << measured->error_by_chance << " expected, " << mean << " +- " << deviation << "\n";
  EXPECT_NEAR(measured->error_by_chance, mean, 4 * deviation);
}

// The exact sum up to 4,096 answers of a bin, and what stands in for it above.
TEST(Reliability, ManyAnswersAreNormal) {
  Random random(3);
  const double exact = measure_reliability(drawn_answers(random, 40960, 0))->error_by_chance;
  const double approximate = measure_reliability(drawn_answers(random, 40970, 0))->error_by_chance;
  EXPECT_NEAR(approximate / exact, 1, 0.01);
}

TEST(Reliability, EqualProbabilitiesShareTheirAccuracy) {
  std::vector<Confidence> answers(20, {0.5, false});
  for (size_t i = 0; i < 10; ++i) answers[i].right = true;
  const auto sorted = measure_reliability(answers);
  EXPECT_NEAR(sorted->error, 0, 1e-12) << "half of them are right, wherever they stand";
  std::rotate(answers.begin(), answers.begin() + 7, answers.end());
  EXPECT_EQ(measure_reliability(answers)->error, sorted->error);
  for (const CoveragePoint& point : risk_coverage(answers)) EXPECT_EQ(point.accuracy, 0.5);
}

TEST(Reliability, OfFewAnswers) {
  EXPECT_FALSE(measure_reliability({}).has_value());
  EXPECT_TRUE(risk_coverage({}).empty());
  const auto one = measure_reliability(std::vector<Confidence>{{0.75, true}});
  ASSERT_EQ(one->bins.size(), 1u);
  EXPECT_DOUBLE_EQ(one->error, 0.25);
  EXPECT_DOUBLE_EQ(one->error_by_chance, 2 * 0.75 * 0.25);
}

TEST(RiskCoverage, IsOfTheLikeliestAnswers) {
  std::vector<Confidence> answers;
  for (int i = 0; i < 15; ++i) answers.push_back({0.05 * (i + 1), i % 2 == 0 || i > 10});
  std::reverse(answers.begin() + 2, answers.end());
  const std::vector<CoveragePoint> points = risk_coverage(answers);
  ASSERT_EQ(points.size(), 10u);
  for (size_t p = 0; p < points.size(); ++p) {
    const CoveragePoint& point = points[p];
    EXPECT_EQ(point.answers, static_cast<int64_t>(std::ceil(1.5 * (10 - static_cast<double>(p)))));
    EXPECT_DOUBLE_EQ(point.coverage, static_cast<double>(point.answers) / 15);
    double right = 0;
    int64_t given = 0;
    for (const Confidence& answer : answers) {
      if (answer.probability < point.least_probability) continue;
      ++given;
      right += answer.right ? 1 : 0;
    }
    EXPECT_EQ(given, point.answers) << "what abstain_below = least_probability gives";
    EXPECT_DOUBLE_EQ(point.accuracy, right / static_cast<double>(given));
  }
}

}  // namespace
}  // namespace dbsa
