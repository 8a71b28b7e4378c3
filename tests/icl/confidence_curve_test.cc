#include "icl/confidence_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <numeric>
#include <random>

#include "icl/label_scorer.h"

namespace dbsa {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Of the likeliest label, from probabilities as they are.
double plain_log_odds(const std::vector<double>& scores, double temperature) {
  long double most = -INFINITY, sum = 0;
  for (const double score : scores) most = std::max<long double>(most, score);
  for (const double score : scores) sum += std::exp((score - most) / temperature);
  const long double p = 1 / sum;
  return static_cast<double>(std::log(p / (1 - p)));
}

// Answers of five labels that are right as often as the curve says.
std::vector<ScoredAnswer> drawn(std::mt19937_64& random, int count, const ConfidenceCurve& curve) {
  std::normal_distribution<double> score(0, 2);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<ScoredAnswer> answers;
  for (int i = 0; i < count; ++i) {
    ScoredAnswer one;
    for (int label = 0; label < 5; ++label) one.scores.push_back(score(random));
    const double odds = curve.slope * plain_log_odds(one.scores, 1) + curve.offset;
    one.right = uniform(random) < logistic(odds);
    answers.push_back(std::move(one));
  }
  return answers;
}

TEST(ConfidenceCurve, ComesNearTheOneThatAnswersWereDrawnWith) {
  const uint64_t seed = 20261130;
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (const ConfidenceCurve& truth :
       {ConfidenceCurve{1, 0}, ConfidenceCurve{0.5, 0.3}, ConfidenceCurve{2, -1}}) {
    const ConfidenceCurve found = fit_confidence_curve(drawn(random, 40000, truth), 1);
    EXPECT_NEAR(found.slope / truth.slope, 1, 0.06);
    EXPECT_NEAR(found.offset, truth.offset, 0.06);
  }
}

// Where the derivatives of the sum are zero it is least, because it is convex.
TEST(ConfidenceCurve, HasNoSlopeLeft) {
  std::mt19937_64 random(3);
  for (const double temperature : {1.0, 4.0}) {
    const std::vector<ScoredAnswer> answers = drawn(random, 300, {0.7, -0.2});
    const ConfidenceCurve curve = fit_confidence_curve(answers, temperature);
    const auto right = static_cast<double>(
        std::count_if(answers.begin(), answers.end(), [](const auto& one) { return one.right; }));
    const double wrong = 300 - right;
    double by_slope = 0, by_offset = 0;
    for (const ScoredAnswer& one : answers) {
      const double x = plain_log_odds(one.scores, temperature);
      const double target = one.right ? (right + 1) / (right + 2) : 1 / (wrong + 2);
      const double error = logistic(curve.slope * x + curve.offset) - target;
      by_slope += error * x;
      by_offset += error;
    }
    EXPECT_NEAR(by_slope, 0, 1e-5);
    EXPECT_NEAR(by_offset, 0, 1e-5);
  }
}

TEST(ConfidenceCurve, IsFiniteWhateverTheAnswersAre) {
  EXPECT_EQ(fit_confidence_curve({}, 1), ConfidenceCurve{}) << "nothing is known";
  EXPECT_EQ(fit_confidence_curve(std::vector<ScoredAnswer>{{{3}, true}}, 1), ConfidenceCurve{});
  for (const bool right : {true, false}) {
    const std::vector<ScoredAnswer> all = {{{3, 1}, right}, {{0, 2}, right}, {{9, 1, 4}, right}};
    const ConfidenceCurve curve = fit_confidence_curve(all, 1);
    EXPECT_TRUE(std::isfinite(curve.slope) && std::isfinite(curve.offset));
    std::vector<double> probabilities = log_softmax(all[0].scores);
    apply_confidence_curve(curve, probabilities);
    EXPECT_GE(std::exp(probabilities[0]), right ? 0.75 : 0.49);
  }
  // Split without an exception, of the same odds, and of scores far apart.
  for (const std::vector<ScoredAnswer>& answers :
       {std::vector<ScoredAnswer>{{{9, 1}, true}, {{8, 1}, true}, {{2, 1}, false}, {{3, 1}, false}},
        std::vector<ScoredAnswer>{{{2, 1}, true}, {{2, 1}, false}},
        std::vector<ScoredAnswer>{{{700, -700}, true}, {{5000, 0}, false}, {{1, 0}, true}}}) {
    const ConfidenceCurve curve = fit_confidence_curve(answers, 1);
    EXPECT_TRUE(std::isfinite(curve.slope) && std::isfinite(curve.offset));
    EXPECT_GE(curve.slope, 0);
  }
}

TEST(ConfidenceCurve, WhereSurerAnswersAreRightLessOftenAllGetTheSame) {
  std::vector<ScoredAnswer> answers;
  for (int i = 0; i < 50; ++i) {
    answers.push_back({{5, 0}, i % 5 == 0});
    answers.push_back({{1, 0}, i % 5 != 0});
  }
  const ConfidenceCurve curve = fit_confidence_curve(answers, 1);
  EXPECT_EQ(curve.slope, 0);
  EXPECT_NEAR(logistic(curve.offset), 0.5, 1e-6);
}

TEST(ConfidenceCurve, ChangesOddsAndKeepsOrderSumAndShares) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> score(0, 3);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> scores;
    for (int label = 0; label < 2 + round % 7; ++label) scores.push_back(score(random));
    const std::vector<double> before = log_softmax(scores);
    std::vector<double> after = before;
    const ConfidenceCurve curve = {round % 3 * 0.6, round % 5 - 2.0};
    apply_confidence_curve(curve, after);
    double sum = 0;
    for (const double value : after) sum += std::exp(value);
    EXPECT_NEAR(sum, 1, 1e-12);
    const auto best = std::max_element(before.begin(), before.end()) - before.begin();
    double most = -INFINITY;
    for (const double value : after) most = std::max(most, value);
    EXPECT_GE(after[static_cast<size_t>(best)], most - 1e-12) << "the likeliest stays it";
    const double wanted = logistic(curve.slope * plain_log_odds(scores, 1) + curve.offset);
    const double got = std::exp(after[static_cast<size_t>(best)]);
    if (got > std::exp(most) + 1e-12 || scores.size() == 2) {
      EXPECT_GE(got, wanted - 1e-9);
    }
    for (size_t a = 0; a < before.size(); ++a)
      for (size_t b = 0; b < before.size(); ++b)
        if (a != static_cast<size_t>(best) && b != static_cast<size_t>(best)) {
          EXPECT_NEAR(after[a] - after[b], before[a] - before[b], 1e-9);
        }
  }
  std::vector<double> same = log_softmax(std::vector<double>{2, 1, -3});
  const std::vector<double> before = same;
  apply_confidence_curve({}, same);
  for (size_t i = 0; i < same.size(); ++i) EXPECT_NEAR(same[i], before[i], 1e-12);
}

}  // namespace
}  // namespace dbsa
