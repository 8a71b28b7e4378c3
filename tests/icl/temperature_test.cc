// The fitted temperature against a search over all of them.
#include "icl/temperature.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "tests/icl/uniform.h"

namespace dbsa {
namespace {

// From its definition, in extended precision.
long double log_loss(const std::vector<ScoredAnswer>& answers, double temperature) {
  long double total = 0;
  for (const ScoredAnswer& answer : answers) {
    const auto best = std::max_element(answer.scores.begin(), answer.scores.end());
    long double others = 0;
    for (auto score = answer.scores.begin(); score != answer.scores.end(); ++score)
      if (score != best)
        others += std::exp((static_cast<long double>(*score) - *best) / temperature);
    total -= answer.right ? std::log(1 / (1 + others)) : std::log(others / (1 + others));
  }
  return total;
}

// Answers that are right with the probability that their scores have at `temperature`.
std::vector<ScoredAnswer> drawn_scored(Random& random, size_t count, double temperature) {
  std::vector<ScoredAnswer> answers;
  for (size_t i = 0; i < count; ++i) {
    ScoredAnswer one;
    double sum = 0, most = 0;
    for (size_t k = 0; k < 3 + i % 5; ++k) {
      one.scores.push_back(8 * uniform(random));
      const double weight = std::exp(one.scores.back() / temperature);
      sum += weight;
      most = std::max(most, weight);
    }
    one.right = uniform(random) < most / sum;
    answers.push_back(std::move(one));
  }
  return answers;
}

TEST(Temperature, HasTheLeastLoss) {
  const uint64_t seed = 20261129;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (const double truth : {0.5, 1.0, 3.0}) {
    const std::vector<ScoredAnswer> answers = drawn_scored(random, 400, truth);
    const double fitted = fit_temperature(answers);
    const long double least = log_loss(answers, fitted);
    for (double temperature = 0.1; temperature < 30; temperature *= 1.01)
      EXPECT_GE(log_loss(answers, temperature), least - 1e-9L) << temperature << ", " << fitted;
    EXPECT_GT(log_loss(answers, fitted * 1.001), least);
    EXPECT_GT(log_loss(answers, fitted / 1.001), least);
    std::cout << truth << ": " << fitted << "\n";
  }
}

TEST(Temperature, ComesNearTheOneThatAnswersWereDrawnWith) {
  Random random(7);
  for (const double truth : {0.5, 1.0, 2.5})
    EXPECT_NEAR(fit_temperature(drawn_scored(random, 20000, truth)) / truth, 1, 0.05);
}

TEST(Temperature, StopsAtItsBounds) {
  const std::vector<ScoredAnswer> right = {{{3, 1}, true}, {{0, 2}, true}};
  EXPECT_EQ(fit_temperature(right), kLeastTemperature);
  const std::vector<ScoredAnswer> wrong = {{{3, 1}, false}, {{0, 2}, false}};
  EXPECT_EQ(fit_temperature(wrong), kMostTemperature);
  EXPECT_EQ(fit_temperature({}), 1) << "nothing is known";
}

TEST(Temperature, OnlyDifferencesOfScoresCount) {
  const std::vector<ScoredAnswer> answers = {
      {{3, 1, 0}, true}, {{0, 2, 1}, false}, {{5, 4, 1}, true}};
  std::vector<ScoredAnswer> moved = answers;
  for (double& score : moved[1].scores) score -= 700;
  EXPECT_NEAR(fit_temperature(moved), fit_temperature(answers), 1e-6);
}

// Of probabilities that no double tells from 1.
TEST(Temperature, ScoresMayLieFarApart) {
  Random random(5);
  std::vector<ScoredAnswer> answers = drawn_scored(random, 2000, 1);
  const double fitted = fit_temperature(answers);
  for (ScoredAnswer& answer : answers)
    for (double& score : answer.scores) score *= 60;
  EXPECT_NEAR(fit_temperature(answers) / fitted, 60, 0.01);
}

}  // namespace
}  // namespace dbsa
