// Tasks that take turns and whose rows meet in one pass.
#include "pipeline/answer/forward_batch.h"

#include <stdexcept>

#include "tests/forward/forward_harness.h"

namespace dbsa {
namespace {

class ForwardBatchTest : public ::testing::Test {
 protected:
  // A prefill of `tokens` ids, causal, as one call; scores after the last two rows.
  static constexpr int32_t kTokens[] = {5, 0, 7};
  struct Prompt {
    ForwardInput input;
    std::vector<ScoreAsk> asks;
    host::Kv kv;
  };
  Prompt prompt(int32_t first_id, int64_t tokens) {
    Prompt made;
    made.kv = harness_.make_kv(tokens);
    for (int64_t i = 0; i < tokens; ++i) {
      made.input.ids.push_back(first_id + static_cast<int32_t>(i));
      made.input.positions.push_back(static_cast<int32_t>(i));
    }
    made.asks = {{tokens - 2, kTokens}, {tokens - 1, std::span(kTokens).first(1)}};
    return made;
  }
  // Ranges point to the KV object, so they are added where the prompt stays.
  static void place(Prompt& prompt) {
    const auto tokens = static_cast<int64_t>(prompt.input.ids.size());
    prompt.input.ranges = {
        {tokens, &prompt.kv, 0, {segment_of(prompt.kv, DBSA_SEGMENT_CAUSAL, tokens, 0)}}};
  }
  std::vector<Prompt> prompts(int64_t count) {
    std::vector<Prompt> all;
    for (int64_t i = 0; i < count; ++i) all.push_back(prompt(static_cast<int32_t>(i), 3 + i));
    for (Prompt& one : all) place(one);
    return all;
  }

  ForwardHarness harness_{std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/llama3",
                          {.precision = kF32}};
};

TEST_F(ForwardBatchTest, GivesEachTaskWhatItWouldHaveGotAlone) {
  std::vector<Prompt> all = prompts(5);
  std::vector<std::vector<host::TokenScores>> expected;
  for (const Prompt& one : all) {
    const auto scores = harness_.model().score(one.input, one.asks);
    ASSERT_TRUE(scores.ok()) << scores.error().message;
    ASSERT_EQ(scores->size(), 2u);
    EXPECT_EQ(scores->at(0).values.size(), 3u);
    EXPECT_EQ(scores->at(1).values.size(), 1u);
    expected.push_back(*scores);
  }
  for (const int64_t most_rows : {1, 8, 1000}) {
    ForwardBatch batch(harness_.model(), most_rows);
    std::vector<Prompt> again = prompts(5);
    int64_t running = 0;
    batch.run_tasks(5, [&](int64_t i) {
      const auto index = static_cast<size_t>(i);
      EXPECT_EQ(++running, 1) << "tasks take turns";
      --running;
      for (int64_t turn = 0; turn <= i; ++turn) {  // they end one after the other
        const auto output = batch.run(again[index].input, again[index].asks, nullptr);
        ASSERT_TRUE(output.ok()) << output.error().message;
        EXPECT_EQ(output->scores, expected[index]) << most_rows << " rows, task " << i;
        EXPECT_GT(output->seconds, 0);
      }
    });
  }
}

TEST_F(ForwardBatchTest, AnErrorBeforeALayerIsThatOfAllInThePass) {
  ForwardBatch batch(harness_.model(), 1000);
  std::vector<Prompt> all = prompts(3);
  int64_t failed = 0;
  batch.run_tasks(3, [&](int64_t i) {
    const Prompt& one = all[static_cast<size_t>(i)];
    const auto hook = [i](int32_t layer) -> Status {
      if (i == 1 && layer == 1) return Error{ErrorCode::kCorrupt, "damaged", ""};
      return {};
    };
    const auto output = batch.run(one.input, one.asks, hook);
    ASSERT_FALSE(output.ok());
    EXPECT_EQ(output.error().message, "damaged");
    ++failed;
    EXPECT_TRUE(batch.run(one.input, one.asks, nullptr).ok()) << "the next one is sound";
  });
  EXPECT_EQ(failed, 3);
}

// A device that has room for one query's blocks, not for those of several.
TEST_F(ForwardBatchTest, WhatDoesNotFitTogetherIsComputedApart) {
  std::vector<Prompt> all = prompts(3);
  std::vector<std::vector<host::TokenScores>> expected;
  for (const Prompt& one : all)
    expected.push_back(harness_.model().score(one.input, one.asks).value());
  int64_t together = 0, refused = 0;
  const auto hook = [&](int32_t layer) -> Status {
    if (layer == 0) ++together;
    if (layer == 1 && together > 1) {
      together = 0;
      ++refused;
      return Error{ErrorCode::kEnvironment, "no room", ""};
    }
    if (layer == 1) together = 0;
    return {};
  };
  ForwardBatch batch(harness_.model(), 1000);
  batch.run_tasks(3, [&](int64_t i) {
    const auto index = static_cast<size_t>(i);
    const auto output = batch.run(all[index].input, all[index].asks, hook);
    ASSERT_TRUE(output.ok()) << output.error().message;
    EXPECT_EQ(output->scores, expected[index]) << "task " << i;
  });
  EXPECT_EQ(refused, 2) << "three together, then two of them";
  const auto full = [](int32_t) -> Status { return Error{ErrorCode::kEnvironment, "no room", ""}; };
  batch.run_tasks(2, [&](int64_t i) {
    const Prompt& one = all[static_cast<size_t>(i)];
    const auto output =
        i == 0 ? batch.run(one.input, one.asks, full) : batch.run(one.input, one.asks, nullptr);
    EXPECT_EQ(output.ok(), i == 1) << "only the one that never fits fails";
  });
}

TEST_F(ForwardBatchTest, AnExceptionOfATaskIsThrownOnceTheOthersAreDone) {
  ForwardBatch batch(harness_.model(), 1000);
  std::vector<Prompt> all = prompts(3);
  int64_t done = 0;
  const auto run = [&] {
    batch.run_tasks(3, [&](int64_t i) {
      if (i == 1) throw std::runtime_error("of task 1");
      const Prompt& one = all[static_cast<size_t>(i)];
      EXPECT_TRUE(batch.run(one.input, one.asks, nullptr).ok());
      ++done;
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_EQ(done, 2);
}

TEST_F(ForwardBatchTest, AnExceptionOfAPassIsThrownAndTheTasksSeeAnError) {
  ForwardBatch batch(harness_.model(), 1000);
  std::vector<Prompt> all = prompts(2);
  int64_t failed = 0;
  const auto run = [&] {
    batch.run_tasks(2, [&](int64_t i) {
      const Prompt& one = all[static_cast<size_t>(i)];
      const auto hook = [](int32_t) -> Status { throw std::bad_alloc(); };
      failed += batch.run(one.input, one.asks, hook).ok() ? 0 : 1;
    });
  };
  EXPECT_THROW(run(), std::bad_alloc);
  EXPECT_EQ(failed, 2);
}

TEST_F(ForwardBatchTest, NoTasksAreDoneAtOnce) {
  ForwardBatch batch(harness_.model(), 1000);
  batch.run_tasks(0, [](int64_t) { FAIL(); });
}

}  // namespace
}  // namespace dbsa
