#include "icl/confusion.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "icl/metrics.h"

namespace dbsa::testing {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;  // expected, given

ConfusionMatrix matrix_of(const Pairs& answers) {
  ConfusionMatrix matrix;
  for (const auto& [expected, given] : answers) matrix.add(expected, given);
  return matrix;
}

// By hand: a is expected 3 times, given 3 times, twice both; "c" is only expected, "d" only given.
TEST(Confusion, CountsOfFewAnswers) {
  const ConfusionMatrix matrix = matrix_of(
      {{"a", "a"}, {"a", "a"}, {"a", "b"}, {"b", "a"}, {"b", "b"}, {"c", ""}, {"b", "d"}});
  EXPECT_EQ(matrix.answers(), 7);
  EXPECT_EQ(matrix.count("a", "a"), 2);
  EXPECT_EQ(matrix.count("c", ""), 1);
  EXPECT_EQ(matrix.count("d", "a"), 0);
  const std::vector<LabelScores> labels = matrix.labels();
  ASSERT_EQ(labels.size(), 4u);
  EXPECT_EQ(labels[0].label, "a");
  EXPECT_EQ(labels[0].expected, 3);
  EXPECT_EQ(labels[0].given, 3);
  EXPECT_EQ(labels[0].right, 2);
  EXPECT_DOUBLE_EQ(*labels[0].precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*labels[0].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(labels[0].f1, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*labels[1].precision, 0.5);
  EXPECT_DOUBLE_EQ(*labels[1].recall, 1.0 / 3);
  EXPECT_DOUBLE_EQ(labels[1].f1, 2.0 / 5);
  EXPECT_EQ(labels[2].label, "c");
  EXPECT_FALSE(labels[2].precision.has_value());  // no answer gives it
  EXPECT_EQ(labels[2].recall, 0);
  EXPECT_EQ(labels[2].f1, 0);
  EXPECT_EQ(labels[3].label, "d");
  EXPECT_FALSE(labels[3].recall.has_value());  // no query expects it
  EXPECT_EQ(labels[3].precision, 0);
}

TEST(Confusion, TheMostFrequentComesFirst) {
  ConfusionMatrix matrix = matrix_of({{"b", "a"}, {"a", "b"}, {"c", "b"}, {"c", "b"}, {"a", "a"}});
  ConfusionMatrix more;
  more.add("a", "", 3);
  matrix.add(more);
  const std::vector<Confusion> found = matrix.confusions();
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].expected, "a");
  EXPECT_EQ(found[0].given, "");
  EXPECT_EQ(found[0].count, 3);
  EXPECT_EQ(found[1].expected + found[1].given, "cb");
  EXPECT_EQ(found[2].expected + found[2].given, "ab");  // equally frequent: in byte order
  EXPECT_EQ(found[3].expected + found[3].given, "ba");
}

TEST(Confusion, OfNothingIsEmpty) {
  EXPECT_TRUE(ConfusionMatrix().empty());
  EXPECT_TRUE(ConfusionMatrix().labels().empty());
  EXPECT_TRUE(ConfusionMatrix().confusions().empty());
}

// scikit-learn 1.7, precision_recall_fscore_support(zero_division=0), of 400 pairs.
TEST(Confusion, EqualsScikitLearn) {
  uint64_t state = 12345;
  const auto next = [&](uint64_t count) {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state >> 16) % count;
  };
  const std::vector<std::string> names = {"alpha",   "beta", "gamma", "delta",
                                          "epsilon", "zeta", "eta"};
  std::vector<std::string> expected, given;
  ConfusionMatrix matrix;
  for (int i = 0; i < 400; ++i) {
    const uint64_t label = next(5);
    expected.push_back(names[label]);
    const bool right = next(10) < 6;
    given.push_back(right ? names[label] : names[next(7)]);
    matrix.add(expected.back(), given.back());
  }
  const struct {
    const char* label;
    double precision, recall, f1;
    int64_t support;
  } kReference[] = {
      {"alpha", 0.6666666666666666, 0.5679012345679012, 0.6133333333333333, 81},
      {"beta", 0.6610169491525424, 0.5735294117647058, 0.6141732283464567, 68},
      {"delta", 0.7536231884057971, 0.6419753086419753, 0.6933333333333334, 81},
      {"epsilon", 0.6666666666666666, 0.6216216216216216, 0.6433566433566433, 74},
      {"eta", 0, 0, 0, 0},
      {"gamma", 0.7901234567901234, 0.6666666666666666, 0.7231638418079096, 96},
      {"zeta", 0, 0, 0, 0},
  };
  const std::vector<LabelScores> labels = matrix.labels();
  ASSERT_EQ(labels.size(), std::size(kReference));
  for (size_t i = 0; i < labels.size(); ++i) {
    EXPECT_EQ(labels[i].label, kReference[i].label);
    EXPECT_EQ(labels[i].expected, kReference[i].support);
    EXPECT_NEAR(labels[i].precision.value_or(0), kReference[i].precision, 1e-15);
    EXPECT_NEAR(labels[i].recall.value_or(0), kReference[i].recall, 1e-15);
    EXPECT_NEAR(labels[i].f1, kReference[i].f1, 1e-15);
  }
  EXPECT_EQ(matrix.answers(), 400);
  const std::vector<Confusion> confusions = matrix.confusions();
  ASSERT_EQ(confusions.size(), 30u);
  EXPECT_EQ(confusions[0].expected + " " + confusions[0].given, "epsilon alpha");
  EXPECT_EQ(confusions[0].count, 10);
  EXPECT_EQ(confusions[3].expected + " " + confusions[3].given, "gamma alpha");
  EXPECT_NEAR(score_answers(expected, given).macro_f1, 0.46962291145395374, 1e-15);
}

}  // namespace
}  // namespace dbsa::testing
