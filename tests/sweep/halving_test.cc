// Halving against a made accuracy and a made clock.
#include "sweep/halving.h"

#include <dbsa/sdk/random.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

namespace dbsa {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = SliceOutcome::Kind;

// Candidates that are right with a given probability, and take a second for ten queries.
struct Made {
  std::vector<double> accuracies;
  double query_seconds = 0.1, once_seconds = 0.5;
  std::set<size_t> broken = {};
  double now = 0;
  std::map<std::pair<size_t, size_t>, int> asked = {};

  HalvingTask task(std::vector<int64_t> slices) {
    HalvingTask out;
    out.slices = std::move(slices);
    out.seconds = [this] { return now; };
    out.answer = [this, sizes = out.slices](size_t candidate, size_t slice,
                                            double until) -> Result<SliceOutcome> {
      ++asked[{candidate, slice}];
      SliceOutcome outcome;
      if (broken.contains(candidate)) {
        outcome.kind = Kind::kFailed;
        outcome.failure = "broken";
        return outcome;
      }
      now += once_seconds + query_seconds * static_cast<double>(sizes[slice]);
      if (now > until) {
        now = until;
        return outcome;
      }
      outcome.kind = Kind::kAnswered;
      outcome.answers.once_seconds = once_seconds;
      outcome.answers.query_seconds = query_seconds;
      // The same queries are hard for all.
      Random random(slice + 1);
      for (int64_t i = 0; i < sizes[slice]; ++i)
        outcome.answers.right.push_back(static_cast<char>(static_cast<double>(random.below(1000)) <
                                                          1000 * accuracies[candidate]));
      return outcome;
    };
    return out;
  }
};

TEST(HalvingTest, FindsTheBestAndKeepsTheStart) {
  Made made{{0.3, 0.5, 0.9, 0.4, 0.6, 0.2, 0.7, 0.1}};
  HalvingTask task = made.task({20, 20, 40, 80});
  std::vector<std::vector<size_t>> rounds;
  task.round_begins = [&](size_t, const std::vector<size_t>& left) { rounds.push_back(left); };
  const Result<HalvingResult> result = halve(task, 8, 60);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->best, 2u);
  EXPECT_THAT(rounds, Each(Contains(0u)));
  ASSERT_GE(rounds.size(), 3u);
  EXPECT_THAT(rounds[1], ElementsAre(0, 2, 6, 4, 1));
  EXPECT_THAT(rounds[2], ElementsAre(0, 2, 6));
  for (const auto& [cell, times] : made.asked) EXPECT_EQ(times, 1) << cell.first << cell.second;
  EXPECT_LE(made.now, 60);
}

TEST(HalvingTest, TheStartStaysWhereNoneIsBetter) {
  Made made{{0.8, 0.8, 0.5}};
  const Result<HalvingResult> result = halve(made.task({20, 20, 40}), 3, 1000);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->best, 0u);
  EXPECT_FALSE(result->out_of_time);
}

// More time lets all candidates answer more before any is dropped.
TEST(HalvingTest, TheFirstRoundTakesWhatTimeAllows) {
  Made slow{{0.5, 0.6, 0.7, 0.8, 0.9}};
  const auto hasty = halve(slow.task({10, 10, 20, 40}), 5, 15);
  Made quick{{0.5, 0.6, 0.7, 0.8, 0.9}};
  const auto patient = halve(quick.task({10, 10, 20, 40}), 5, 1000);
  ASSERT_TRUE(hasty.ok() && patient.ok());
  EXPECT_EQ(hasty->rounds.front().queries, 10u);
  EXPECT_EQ(patient->rounds.front().queries, 80u);
}

TEST(HalvingTest, TimeThatEndsLeavesTheLastWholeRound) {
  Made made{{0.5, 0.9, 0.6, 0.55, 0.7}};
  const Result<HalvingResult> result = halve(made.task({10, 10, 20, 40}), 5, 9);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->out_of_time);
  EXPECT_EQ(result->best, 1u);
  EXPECT_LE(made.now, 9);
}

TEST(HalvingTest, CandidatesBeyondTheTimeAreNotTried) {
  Made made{{0.3, 0.6, 0.95, 0.99}};
  const Result<HalvingResult> result = halve(made.task({10, 10}), 4, 8);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->out_of_time);
  EXPECT_THAT(result->rounds.front().candidates, ElementsAre(2, 1, 0));
  EXPECT_EQ(result->candidates[3].slices, 0u);
}

TEST(HalvingTest, WithoutTimeForTheStartNothingIsCompared) {
  Made made{{0.5, 0.9}};
  const Result<HalvingResult> result = halve(made.task({10, 10}), 2, 1);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->out_of_time);
  EXPECT_EQ(result->best, 0u);
  EXPECT_THAT(result->rounds.front().candidates, IsEmpty());
  EXPECT_EQ(made.asked.count({1, 0}), 0u);
}

TEST(HalvingTest, ABrokenCandidateIsLeftOutAndNamed) {
  Made made{{0.5, 0.9, 0.6}};
  made.broken = {1};
  const Result<HalvingResult> result = halve(made.task({10, 10}), 3, 1000);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->candidates[1].failure, "broken");
  EXPECT_EQ(result->best, 2u);
  made.broken = {0};
  const Result<HalvingResult> none = halve(made.task({10, 10}), 3, 1000);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "broken");
}

TEST(HalvingTest, AddedCandidatesCatchUp) {
  Made made{{0.5, 0.6, 0.7, 0.95}};
  HalvingTask task = made.task({10, 10, 20});
  task.more = [](const std::vector<Candidate>& candidates, size_t queries) -> size_t {
    for (const Candidate& candidate : candidates) EXPECT_EQ(candidate.right.size(), queries);
    return 1;
  };
  const Result<HalvingResult> result = halve(task, 3, 30);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->candidates.size(), 4u);
  EXPECT_EQ(result->best, 3u);
}

TEST(HalvingTest, AnErrorEndsIt) {
  Made made{{0.5, 0.6}};
  HalvingTask task = made.task({10});
  task.answer = [](size_t, size_t, double) -> Result<SliceOutcome> {
    return Error{ErrorCode::kCancelled, "stopped", ""};
  };
  const Result<HalvingResult> result = halve(task, 2, 10);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST(ConfirmTest, BothAnswerTheSameQueriesWithinTheTime) {
  Made made{{0.5, 0.9}};
  const HalvingTask task = made.task({10, 20, 40});
  std::vector<Candidate> costs(2);
  for (Candidate& cost : costs) cost.query_seconds = 0.1;
  const Result<Confirmation> result = confirm(task, {0, 1}, costs, 9);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->slices, 2u);  // 3 s and 5 s; the third would end after 17 s
  ASSERT_EQ(result->right.size(), 2u);
  EXPECT_EQ(result->right[0].size(), 30u);
  EXPECT_EQ(result->right[1].size(), 30u);
  EXPECT_LE(made.now, 9);
}

TEST(ConfirmTest, ATurnThatEndsEarlyDoesNotCount) {
  Made made{{0.5, 0.9}};
  // What is expected to be quick is not.
  const Result<Confirmation> result =
      confirm(made.task({10, 20}), {0, 1}, std::vector<Candidate>(2), 2);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->slices, 0u);
  EXPECT_THAT(result->right[0], IsEmpty());
}

}  // namespace
}  // namespace dbsa
