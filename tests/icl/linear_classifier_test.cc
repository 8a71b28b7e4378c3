#include "icl/linear_classifier.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/icl/uniform.h"

namespace dbsa {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(WordsOf, AreRunsOfLettersAndDigitsOfAnyScript) {
  EXPECT_THAT(words_of("Where's my CARD_2, Señor?"),
              ElementsAre("where", "s", "my", "card_2", "señor"));
  EXPECT_THAT(words_of("e\xCC\x81t\xC3\xA9"), ElementsAre("été"));  // decomposed and composed
  EXPECT_THAT(words_of(" ?!  "), IsEmpty());
}

// The values of scikit-learn's formula, worked out by hand: "a" is in both of two texts, "b" in
// one.
TEST(TfidfTest, WeighsByRarityAndHasLengthOne) {
  const std::vector<std::string> texts = {"a a b", "a c"};
  const Tfidf tfidf(texts);
  ASSERT_EQ(tfidf.features(), 3u);  // each pair is in one text only
  const double rare = std::log(3.0 / 2) + 1;
  const SparseRow row = tfidf.row("a a b unseen");
  ASSERT_EQ(row.size(), 2u);
  EXPECT_NEAR(row[0].value, 2 / std::sqrt(4 + rare * rare), 1e-15);
  EXPECT_NEAR(row[1].value, rare / std::sqrt(4 + rare * rare), 1e-15);
  EXPECT_THAT(tfidf.row("unseen"), IsEmpty());
}

TEST(TfidfTest, TakesPairsThatTwoTextsHave) {
  const std::vector<std::string> texts = {"lost my card", "my card", "card my"};
  const Tfidf tfidf(texts);
  EXPECT_EQ(tfidf.features(), 4u);  // card, lost, my, "my card"
  EXPECT_EQ(tfidf.row("my card").size(), 3u);
  EXPECT_EQ(tfidf.row("card my").size(), 2u);
}

// The gradient, written down once more, is 0 where the fit ends, and any other weights are worse.
TEST(LogisticRegression, EndsWhereTheGradientIsZero) {
  const uint64_t seed = 20260131;
  std::printf("seed %lu\n", static_cast<unsigned long>(seed));
  Random random(seed);
  constexpr size_t kRows = 60, kFeatures = 9;
  for (const double penalty : {0.1, 1.0, 100.0}) {
    std::vector<SparseRow> rows(kRows);
    std::vector<char> positive(kRows);
    for (size_t i = 0; i < kRows; ++i) {
      for (uint32_t f = 0; f < kFeatures; ++f)
        if (uniform(random) < 0.4) rows[i].push_back({f, uniform(random) * 2 - 1});
      positive[i] = static_cast<char>(random.below(3) == 0);
    }
    const std::vector<double> w = fit_logistic_regression(rows, positive, kFeatures, penalty);
    ASSERT_EQ(w.size(), kFeatures + 1);
    const auto dense = [&](size_t i, size_t f) {
      if (f == kFeatures) return 1.0;
      for (const Feature& feature : rows[i])
        if (feature.index == f) return feature.value;
      return 0.0;
    };
    const auto value = [&](const std::vector<double>& at) {
      double sum = 0;
      for (const double x : at) sum += x * x / 2;
      for (size_t i = 0; i < kRows; ++i) {
        double z = 0;
        for (size_t f = 0; f <= kFeatures; ++f) z += at[f] * dense(i, f);
        sum += penalty * std::log(1 + std::exp(positive[i] != 0 ? -z : z));
      }
      return sum;
    };
    for (size_t f = 0; f <= kFeatures; ++f) {
      double gradient = w[f];
      for (size_t i = 0; i < kRows; ++i) {
        double z = 0;
        for (size_t k = 0; k <= kFeatures; ++k) z += w[k] * dense(i, k);
        gradient += penalty * (1 / (1 + std::exp(-z)) - (positive[i] != 0 ? 1 : 0)) * dense(i, f);
      }
      EXPECT_NEAR(gradient, 0, 1e-5 * penalty) << "feature " << f << ", penalty " << penalty;
      for (const double step : {-0.01, 0.01}) {
        std::vector<double> other = w;
        other[f] += step;
        EXPECT_GT(value(other), value(w));
      }
    }
  }
}

TEST(LogisticRegression, OfRowsThatAreAllAlikeIsTheShare) {
  // With almost no weight on |w|, only the bias gives the share of the positive.
  const std::vector<SparseRow> rows(10);
  const std::vector<char> positive = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<double> w = fit_logistic_regression(rows, positive, 0, 1e6);
  EXPECT_NEAR(1 / (1 + std::exp(-w[0])), 0.3, 1e-5);
}

TEST(LinearClassifierTest, SeparatesWhatWordsSeparate) {
  std::vector<Example> examples;
  for (const char* text : {"my card is lost", "lost card", "the card was stolen", "card gone"})
    examples.push_back({text, "card"});
  for (const char* text : {"what is the rate", "exchange rate today", "rates for the euro"})
    examples.push_back({text, "rate"});
  for (const char* text : {"close my account", "account please", "delete the account"})
    examples.push_back({text, "account"});
  const std::optional<LinearClassifier> trained = LinearClassifier::train(examples, 10);
  ASSERT_TRUE(trained);
  for (const Example& example : examples)
    EXPECT_EQ(trained->predict(example.text), example.label) << example.text;
  EXPECT_EQ(trained->predict("Card?"), "card");
  EXPECT_EQ(trained->predict("an account"), "account");
}

TEST(LinearClassifierTest, OfOneLabelSaysIt) {
  const std::vector<Example> examples = {{"a", "only"}, {"b", "only"}};
  EXPECT_EQ(LinearClassifier::train(examples, 1)->predict("c"), "only");
}

TEST(LinearClassifierTest, StopsWhenAsked) {
  const std::vector<Example> examples = {{"a", "x"}, {"b", "y"}};
  EXPECT_FALSE(LinearClassifier::train(examples, 1, [] { return true; }));
}

}  // namespace
}  // namespace dbsa
