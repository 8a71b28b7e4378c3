// Requests of any number of threads, whose rows meet in one pass.
#include "model/decoder/scheduler.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/forward/forward_harness.h"

namespace dbsa {
namespace {

// The same rows, a number of times.
class Repeated final : public Scheduler::Request {
 public:
  Repeated(const ForwardInput& input, std::span<const ScoreAsk> asks, int64_t times,
           Decoder::LayerHook hook = nullptr)
      : input_(input), asks_(asks), left_(times), hook_(std::move(hook)) {}

  std::optional<Scheduler::Rows> next() override {
    if (throws == "next") throw std::runtime_error("of next");
    if (left_ == 0) return std::nullopt;
    --left_;
    return Scheduler::Rows{&input_, asks_, hook_};
  }
  void take(Result<ForwardOutput> output) override {
    if (throws == "take") throw std::runtime_error("of take");
    outputs.push_back(std::move(output));
  }

  std::string throws;
  std::vector<Result<ForwardOutput>> outputs;

 private:
  const ForwardInput& input_;
  std::span<const ScoreAsk> asks_;
  int64_t left_;
  const Decoder::LayerHook hook_;
};

std::vector<Scheduler::Request*> pointers(std::vector<Repeated>& requests) {
  std::vector<Scheduler::Request*> all;
  for (Repeated& request : requests) all.push_back(&request);
  return all;
}

class SchedulerTest : public ::testing::Test {
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

  // Of each prompt by itself.
  std::vector<std::vector<host::TokenScores>> alone(const std::vector<Prompt>& all) {
    std::vector<std::vector<host::TokenScores>> scores;
    for (const Prompt& one : all)
      scores.push_back(harness_.model().score(one.input, one.asks).value());
    return scores;
  }

  ForwardHarness harness_{std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/llama3",
                          {.precision = kF32}};
};

TEST_F(SchedulerTest, GivesEachRequestWhatItWouldHaveGotAlone) {
  const std::vector<Prompt> all = prompts(5);
  const auto expected = alone(all);
  for (const int64_t most_rows : {1, 8, 1000}) {
    Scheduler scheduler(harness_.model(), most_rows);
    std::vector<Prompt> again = prompts(5);
    std::vector<Repeated> requests;
    for (size_t i = 0; i < again.size(); ++i)  // they end one after the other
      requests.emplace_back(again[i].input, again[i].asks, static_cast<int64_t>(i) + 1);
    scheduler.run(pointers(requests));
    for (size_t i = 0; i < requests.size(); ++i) {
      ASSERT_EQ(requests[i].outputs.size(), i + 1);
      for (const Result<ForwardOutput>& output : requests[i].outputs) {
        ASSERT_TRUE(output.ok()) << output.error().message;
        EXPECT_EQ(output->scores, expected[i]) << most_rows << " rows, request " << i;
        EXPECT_GT(output->seconds, 0);
      }
    }
  }
}

TEST_F(SchedulerTest, ThreadsShareItAndWorkTakesItsTurn) {
  constexpr int kThreads = 6, kTimes = 20;
  std::vector<Prompt> all = prompts(kThreads);
  const auto expected = alone(all);
  Scheduler scheduler(harness_.model(), 1000);
  std::atomic<int> wrong{0}, running{0}, overlaps{0};
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        for (int time = 0; time < kTimes; ++time) {
          Repeated request(all[i].input, all[i].asks, 2, [&](int32_t) -> Status {
            overlaps += running.load();
            return {};
          });
          scheduler.run(request);
          for (const Result<ForwardOutput>& output : request.outputs)
            wrong += output.ok() && output->scores == expected[i] ? 0 : 1;
          const Status worked = scheduler.run_work([&]() -> Status {
            ++running;
            std::this_thread::yield();
            --running;
            return Error{ErrorCode::kRun, "of thread " + std::to_string(i), ""};
          });
          wrong +=
              !worked.ok() && worked.error().message == "of thread " + std::to_string(i) ? 0 : 1;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(overlaps, 0) << "work ran during a pass";
}

TEST_F(SchedulerTest, AnErrorBeforeALayerIsThatOfItsOwnRequest) {
  const std::vector<Prompt> all = prompts(3);
  const auto expected = alone(all);
  Scheduler scheduler(harness_.model(), 1000);
  std::vector<Repeated> requests;
  for (size_t i = 0; i < all.size(); ++i)
    requests.emplace_back(all[i].input, all[i].asks, 2, [i](int32_t layer) -> Status {
      if (i == 1 && layer == 1) return Error{ErrorCode::kCorrupt, "damaged", ""};
      return {};
    });
  scheduler.run(pointers(requests));
  for (size_t i = 0; i < requests.size(); ++i)
    for (const Result<ForwardOutput>& output : requests[i].outputs) {
      ASSERT_EQ(output.ok(), i != 1);
      if (i == 1)
        EXPECT_EQ(output.error().message, "damaged");
      else
        EXPECT_EQ(output->scores, expected[i]);
    }
}

// A device that has room for one query's blocks, not for those of several.
TEST_F(SchedulerTest, WhatDoesNotFitTogetherIsComputedApart) {
  const std::vector<Prompt> all = prompts(3);
  const auto expected = alone(all);
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
  Scheduler scheduler(harness_.model(), 1000);
  std::vector<Repeated> requests;
  for (const Prompt& one : all) requests.emplace_back(one.input, one.asks, 1, hook);
  scheduler.run(pointers(requests));
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(requests[i].outputs[0].ok()) << requests[i].outputs[0].error().message;
    EXPECT_EQ(requests[i].outputs[0]->scores, expected[i]) << "request " << i;
  }
  EXPECT_EQ(refused, 2) << "three together, then two of them";
  std::vector<Repeated> two;
  two.emplace_back(all[0].input, all[0].asks, 1, [](int32_t) -> Status {
    return Error{ErrorCode::kEnvironment, "no room", ""};
  });
  two.emplace_back(all[1].input, all[1].asks, 1);
  scheduler.run(pointers(two));
  EXPECT_FALSE(two[0].outputs[0].ok()) << "only the one that never fits fails";
  EXPECT_TRUE(two[1].outputs[0].ok());
}

TEST_F(SchedulerTest, AnExceptionIsThrownOnceTheOthersAreDone) {
  const std::vector<Prompt> all = prompts(3);
  Scheduler scheduler(harness_.model(), 1000);
  for (const char* thrower : {"next", "take"}) {
    std::vector<Repeated> requests;
    for (const Prompt& one : all) requests.emplace_back(one.input, one.asks, 2);
    requests[1].throws = thrower;
    EXPECT_THROW(scheduler.run(pointers(requests)), std::runtime_error);
    for (const size_t other : {0, 2}) EXPECT_EQ(requests[other].outputs.size(), 2u) << thrower;
  }
  EXPECT_THROW((void)scheduler.run_work([]() -> Status { throw std::bad_alloc(); }),
               std::bad_alloc);
}

TEST_F(SchedulerTest, AnExceptionOfAPassIsThrown) {
  const std::vector<Prompt> all = prompts(2);
  Scheduler scheduler(harness_.model(), 1000);
  std::vector<Repeated> requests;
  for (const Prompt& one : all)
    requests.emplace_back(one.input, one.asks, 1,
                          [](int32_t) -> Status { throw std::bad_alloc(); });
  EXPECT_THROW(scheduler.run(pointers(requests)), std::bad_alloc);
  Repeated next(all[0].input, all[0].asks, 1);
  scheduler.run(next);
  EXPECT_TRUE(next.outputs[0].ok()) << "the next one is sound";
}

TEST_F(SchedulerTest, WhatTheModelCallsMustNotAskForTheModel) {
  const std::vector<Prompt> all = prompts(1);
  Scheduler scheduler(harness_.model(), 1000);
  Repeated request(all[0].input, all[0].asks, 1,
                   [&](int32_t) { return scheduler.run_work([] { return Status(); }); });
  scheduler.run(request);
  ASSERT_FALSE(request.outputs[0].ok());
  EXPECT_NE(request.outputs[0].error().message.find("must not ask"), std::string::npos);
}

TEST_F(SchedulerTest, NoRequestsAreDoneAtOnce) {
  Scheduler scheduler(harness_.model(), 1000);
  scheduler.run(std::span<Scheduler::Request* const>());
}

}  // namespace
}  // namespace dbsa
