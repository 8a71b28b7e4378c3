// What int8 changes, counted by hand.
#include "pipeline/kv_error.h"

#include <gtest/gtest.h>

#include <limits>

namespace dbsa {
namespace {

Answer answer(AnswerLabel label, std::optional<AnswerLabel> runner_up,
              std::vector<double> all = {}) {
  Answer made;
  made.label = std::move(label);
  made.runner_up = std::move(runner_up);
  made.label_log_probabilities = std::move(all);
  return made;
}

TEST(KvError, ComparesLabelsThatBothAnswersName) {
  const Answer quantised[] = {
      answer({"a", -0.5}, AnswerLabel{"b", -1.0}),
      answer({"b", -0.6}, AnswerLabel{"a", -0.8}),  // the other way round
      answer({"a", -0.5}, AnswerLabel{"c", -2.0}),  // another second
      answer({"d", -0.5}, std::nullopt),            // nothing in common
  };
  const Answer reference[] = {
      answer({"a", -0.25}, AnswerLabel{"b", -1.5}),
      answer({"a", -0.7}, AnswerLabel{"b", -0.9}),
      answer({"a", -0.5}, AnswerLabel{"b", -2.0}),
      answer({"a", -0.5}, std::nullopt),
  };
  const KvError error = compare_answers(quantised, reference);
  EXPECT_EQ(error.queries, 4);
  EXPECT_EQ(error.labels_changed, 2);
  EXPECT_EQ(error.log_probabilities, 5);
  EXPECT_DOUBLE_EQ(error.max, 0.5);
  EXPECT_NEAR(error.mean, (0.25 + 0.5 + 0.3 + 0.1 + 0) / 5, 1e-15);
}

TEST(KvError, ComparesEveryLabelWhereAllAreKnown) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const Answer quantised[] = {answer({"a", -1}, AnswerLabel{"b", -2}, {-1, -2, -3, kNone})};
  const Answer reference[] = {answer({"a", -1.5}, AnswerLabel{"c", -2}, {-1.5, -2.25, -2, -9})};
  const KvError error = compare_answers(quantised, reference);
  EXPECT_EQ(error.labels_changed, 0);
  EXPECT_EQ(error.log_probabilities, 3) << "one is not finite";
  EXPECT_DOUBLE_EQ(error.max, 1);
  EXPECT_DOUBLE_EQ(error.mean, (0.5 + 0.25 + 1) / 3);
}

TEST(KvError, OfNothingIsNothing) {
  const KvError error = compare_answers({}, {});
  EXPECT_EQ(error.queries, 0);
  EXPECT_EQ(error.log_probabilities, 0);
  EXPECT_EQ(error.max, 0);
}

}  // namespace
}  // namespace dbsa
