// Scores of labels against their formulae, in extended precision and without a logarithm's tricks.
#include "icl/label_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <numeric>

#include "tests/icl/uniform.h"

namespace dbsa {
namespace {

using Values = std::vector<double>;
using Long = long double;

Values drawn_scores(Random& random, size_t count, double least) {
  Values values;
  for (size_t i = 0; i < count; ++i) values.push_back(least * uniform(random));
  return values;
}

std::vector<Long> shares_of(const Values& scores, double temperature = 1) {
  std::vector<Long> shares;
  Long sum = 0;
  for (const double score : scores) {
    shares.push_back(std::exp(static_cast<Long>(score) / temperature));
    sum += shares.back();
  }
  for (Long& share : shares) share /= sum;
  return shares;
}

class LabelScorerTest : public ::testing::Test {
 protected:
  LabelScorerTest() : random_(kSeed) {
    std::cout << "seed " << kSeed << "\n";
    for (size_t i = 0; i < kLabels; ++i) {
      names_.emplace_back(3 + 2 * i, 'x');
      tokens_.push_back({std::vector<int32_t>(1 + i % 4, 5), {}});
      if (i % 3 > 0) tokens_.back().terminator = {7, 8};
    }
    names_[1] = "\u00e9t\u00e9";  // three letters in five bytes
    sums_ = drawn_scores(random_, kLabels, -60);
  }

  static constexpr uint64_t kSeed = 20261129;

  Values scores(LabelScorer scorer, const Values& prior = {}) const {
    return LabelScoring(scorer, tokens_, names_).scores(sums_, prior);
  }

  std::vector<Values> references(size_t count) {
    std::vector<Values> all;
    for (size_t i = 0; i < count; ++i) all.push_back(drawn_scores(random_, kLabels, -60));
    return all;
  }

  static constexpr size_t kLabels = 9;
  Random random_;
  std::vector<std::string> names_;
  std::vector<LabelTokens> tokens_;
  Values sums_;
};

TEST_F(LabelScorerTest, ASumIsWhatItWas) { EXPECT_EQ(scores(LabelScorer::kSum), sums_); }

TEST_F(LabelScorerTest, LengthsAreTokensWithTheirTerminatorAndBytes) {
  const Values by_token = scores(LabelScorer::kPerToken), by_byte = scores(LabelScorer::kPerByte);
  for (size_t i = 0; i < kLabels; ++i) {
    // Of a terminator only the first token's probability counts.
    const double length = 1 + static_cast<double>(i % 4) + (i % 3 > 0 ? 1 : 0);
    EXPECT_DOUBLE_EQ(by_token[i], sums_[i] / length);
    EXPECT_DOUBLE_EQ(by_byte[i], sums_[i] / (i == 1 ? 5 : 3 + 2 * static_cast<double>(i)));
  }
}

TEST_F(LabelScorerTest, PmiDividesByTheLikelihoodBehindAnEmptyQuery) {
  const std::vector<Values> empty = references(1);
  const LabelScoring scoring(LabelScorer::kPmi, tokens_, names_);
  const Values result = log_softmax(scoring.scores(sums_, scoring.prior(empty)));
  std::vector<Long> expected;
  Long sum = 0;
  for (size_t i = 0; i < kLabels; ++i) {
    expected.push_back(std::exp(static_cast<Long>(sums_[i])) /
                       std::exp(static_cast<Long>(empty[0][i])));
    sum += expected.back();
  }
  for (size_t i = 0; i < kLabels; ++i)
    EXPECT_NEAR(std::exp(result[i]), static_cast<double>(expected[i] / sum), 1e-12);
}

// Both divide by a mean of distributions; they differ in whose.
TEST_F(LabelScorerTest, CalibrationsDivideByTheMeanDistribution) {
  for (const LabelScorer scorer : {LabelScorer::kContextual, LabelScorer::kBatch}) {
    const std::vector<Values> others = references(scorer == LabelScorer::kBatch ? 40 : 3);
    const LabelScoring scoring(scorer, tokens_, names_);
    const Values result = log_softmax(scoring.scores(sums_, scoring.prior(others)));
    std::vector<Long> expected = shares_of(sums_);
    Long sum = 0;
    for (size_t i = 0; i < kLabels; ++i) {
      Long mean = 0;
      for (const Values& other : others)
        mean += shares_of(other)[i] / static_cast<Long>(others.size());
      expected[i] /= mean;
      sum += expected[i];
    }
    for (size_t i = 0; i < kLabels; ++i)
      EXPECT_NEAR(std::exp(result[i]), static_cast<double>(expected[i] / sum), 1e-12);
  }
}

// A query that is scored as its own content-free one says nothing: all labels are alike.
TEST_F(LabelScorerTest, WhatIsCalibratedByItselfIsUniform) {
  for (const LabelScorer scorer :
       {LabelScorer::kPmi, LabelScorer::kContextual, LabelScorer::kBatch}) {
    const LabelScoring scoring(scorer, tokens_, names_);
    const Values result =
        log_softmax(scoring.scores(sums_, scoring.prior(std::vector<Values>{sums_})));
    for (const double one : result)
      EXPECT_NEAR(one, -std::log(static_cast<double>(kLabels)), 1e-12);
  }
}

TEST_F(LabelScorerTest, NoLabelIsTooUnlikely) {
  const std::vector<Values> others = {{-1e4, 0, -3e4}, {-2e4, -1e5, 0}};
  const Values mean = log_mean_probabilities(others);
  EXPECT_NEAR(mean[0], -1e4 - std::log(2.0), 1e-9);
  EXPECT_NEAR(mean[1], -std::log(2.0), 1e-12);
  EXPECT_NEAR(mean[2], -std::log(2.0), 1e-12);
}

TEST_F(LabelScorerTest, ATemperatureDividesScores) {
  for (const double temperature : {0.5, 1.0, 3.0}) {
    const Values result = log_softmax(sums_, temperature);
    const std::vector<Long> expected = shares_of(sums_, temperature);
    Long sum = 0;
    for (size_t i = 0; i < kLabels; ++i) {
      EXPECT_NEAR(std::exp(result[i]), static_cast<double>(expected[i]), 1e-13);
      sum += std::exp(static_cast<Long>(result[i]));
    }
    EXPECT_NEAR(static_cast<double>(sum), 1, 1e-12);
  }
}

}  // namespace
}  // namespace dbsa
