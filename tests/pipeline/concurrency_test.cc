// Threads that ask several pools of several models at once, with deadlines and cancellations, over
// stores that fail: every request ends with its answer, which is the one of a quiet run to the bit,
// or with its own error.
//
// DBSA_CONCURRENCY_SECONDS: how long, 2 unless it is set.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "host/resolve.h"
#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

using namespace std::chrono_literals;

struct Expected {
  std::string label;
  std::vector<double> log_probabilities;  // of the label and the runner-up, and of all labels
  bool operator==(const Expected&) const = default;
};

Expected expected_of(const Answer& answer) {
  Expected expected = {answer.label.text, answer.label_log_probabilities};
  expected.log_probabilities.push_back(answer.label.log_probability);
  if (answer.runner_up) expected.log_probabilities.push_back(answer.runner_up->log_probability);
  return expected;
}

struct Tally {
  std::atomic<int64_t> answered{0}, wrong{0}, cancelled{0}, late{0}, environment{0};
  std::mutex mutex;
  std::map<std::string, int64_t> other;  // errors that nothing here explains

  void add_error(const Error& error) {
    if (error.code == ErrorCode::kEnvironment) {
      ++environment;
    } else if (error.code == ErrorCode::kCancelled) {
      ++(error.message.find("deadline") != std::string::npos ? late : cancelled);
    } else {
      const std::lock_guard lock(mutex);
      ++other[error.message];
    }
  }
};

class ConcurrencyTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    make_model("other", 2);
    // Many blocks, few of them for each query: requests seldom hold the same ones.
    for (size_t i = texts_.size(); i < 80; ++i)
      add_demonstration(i,
                        "question " + std::to_string(i) + " about topic " + std::to_string(i % 3),
                        static_cast<int>(i % 3));
    write_demonstrations();
    std::string text = workspace_.read("pipeline.toml");
    text.replace(text.find("ratio = 0.5"), 11, "ratio = 0.1");
    const std::string hdf5 = "plugin = \"hdf5\"\npath = \"store\"\n";
    text.replace(text.find(hdf5), hdf5.size(), "plugin = \"memory\"\n");
    workspace_.write("pipeline.toml", text);
    registry_ = std::make_unique<host::PluginRegistry>(host::PluginRegistry::discover(
        std::vector<std::string>{DBSA_PLUGIN_DIR, DBSA_BAD_PLUGIN_DIR}));
    for (int i = 0; i < 9; ++i)
      asked_.push_back("question about topic " + std::to_string(i) + std::string(i, '!'));
  }

  host::ResolvedPipeline resolve(const PipelineHarness::Overrides& overrides) const {
    TomlDocument document = *TomlDocument::load(workspace_.path("pipeline.toml"));
    for (const auto& [key, value] : overrides)
      if (const Status set = document.set(key, value); !set.ok())
        throw std::runtime_error(set.error().message);
    auto resolved = host::resolve_pipeline(std::move(document), *registry_);
    if (!resolved.ok()) throw std::runtime_error(resolved.error().message);
    return std::move(resolved).value();
  }

  std::unique_ptr<Pipeline> open_pool(const PipelineHarness::Overrides& overrides,
                                      std::shared_ptr<LoadedModel> model = nullptr) {
    auto opened = Pipeline::open(resolve(overrides), *registry_, services_, {}, std::move(model));
    if (!opened.ok()) throw std::runtime_error(opened.error().message);
    for (int tries = 0;; ++tries) {  // a store that fails keeps what it has
      const auto encoded = (*opened)->encode(false, {});
      if (encoded.ok()) return std::move(opened).value();
      if (tries == 100) throw std::runtime_error(encoded.error().message);
    }
  }

  std::vector<Expected> quiet_answers(const PipelineHarness::Overrides& overrides) {
    const auto pipeline = open_pool(overrides);
    std::vector<Expected> all;
    for (const std::string& text : asked_) {
      const auto answer = pipeline->answer(text);
      if (!answer.ok()) throw std::runtime_error(answer.error().message);
      all.push_back(expected_of(*answer));
    }
    return all;
  }

  static double seconds() {
    const char* given = std::getenv("DBSA_CONCURRENCY_SECONDS");
    return given != nullptr ? std::atof(given) : 2;
  }

  std::unique_ptr<host::PluginRegistry> registry_;
  host::HostServices services_{{.threads = 2, .log_level = host::LogLevel::kOff}};
  std::vector<std::string> asked_;
};

TEST_F(ConcurrencyTest, EveryRequestEndsWithItsAnswerOrItsOwnError) {
  const std::string model = "\"" + workspace_.path("model") + "\"";
  const std::string other = "\"" + workspace_.path("other") + "\"";
  // A cache of one byte keeps only what is in use: blocks are read and checked again and again.
  const std::vector<PipelineHarness::Overrides> files = {
      {{"model.path", model}, {"model.block_cache_bytes", "1"}, {"model.chunk_tokens", "24"}},
      {{"model.path", model},
       {"model.block_cache_bytes", "1"},
       {"mask_pattern.plugin", "\"self\""},
       {"decoding.method", "\"likelihood\""},
       {"decoding.scorer", "\"pmi\""}},
      {{"model.path", other},
       {"model.block_cache_bytes", "1"},
       {"retriever.plugin", "\"faiss\""},
       {"embedding.method", "\"llm_hidden\""}}};
  std::vector<std::vector<Expected>> expected;
  std::vector<std::unique_ptr<Pipeline>> pools;
  for (PipelineHarness::Overrides file : files) {
    expected.push_back(quiet_answers(file));
    file.emplace_back("kv_store.plugin", "\"test.kv_store.flaky_store\"");
    pools.push_back(open_pool(file, pools.size() == 1 ? pools[0]->model() : nullptr));
  }

  Tally tally;
  std::atomic<bool> over{false};
  const auto ask = [&](uint32_t seed) {
    std::mt19937 random(seed);
    while (!over) {
      const size_t which = random() % pools.size();
      std::atomic<bool> cancelled{false};
      RequestLimits limits;
      limits.cancelled = &cancelled;
      const uint32_t kind = random() % 4;
      if (kind == 0)
        limits.deadline = std::chrono::steady_clock::now() +
                          std::chrono::milliseconds(1 + random() % (random() % 2 ? 10 : 1000));
      std::optional<std::jthread> canceller;
      if (kind == 1)
        canceller.emplace([&cancelled, wait = random() % 3000] {
          std::this_thread::sleep_for(std::chrono::microseconds(wait));
          cancelled = true;
        });
      std::vector<size_t> places(1 + random() % 3);
      std::vector<std::string> texts;
      for (size_t& place : places) texts.push_back(asked_[place = random() % asked_.size()]);
      std::vector<Result<Outcome>> outcomes = pools[which]->answer_together(texts, limits);
      for (size_t i = 0; i < outcomes.size(); ++i) {
        if (!outcomes[i].ok()) {
          tally.add_error(outcomes[i].error());
        } else if (const Answer* answer = std::get_if<Answer>(&*outcomes[i])) {
          ++tally.answered;
          if (expected_of(*answer) != expected[which][places[i]]) ++tally.wrong;
        } else {
          tally.add_error({ErrorCode::kConfig, std::get<ItemError>(*outcomes[i]).message, ""});
        }
      }
    }
  };
  {
    constexpr uint32_t kThreads = 8;
    std::vector<std::jthread> threads;
    for (uint32_t i = 0; i < kThreads; ++i) threads.emplace_back(ask, i + 1);
    // A pool is encoded while it is answered from.
    threads.emplace_back([&] {
      while (!over) {
        if (const auto encoded = pools[1]->encode(false, {}); !encoded.ok())
          tally.add_error(encoded.error());
        std::this_thread::sleep_for(50ms);
      }
    });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds()));
    over = true;
  }
  for (const auto& [message, count] : tally.other) ADD_FAILURE() << count << " x " << message;
  EXPECT_EQ(tally.wrong, 0);
  EXPECT_GT(tally.answered, 0);
  std::printf("%ld answers, %ld cancelled, %ld late, %ld failed reads\n", tally.answered.load(),
              tally.cancelled.load(), tally.late.load(), tally.environment.load());
}

TEST_F(ConcurrencyTest, OneModelServesNoPipelineThatNamesAnother) {
  const auto pool = open_pool({});
  const auto refused = Pipeline::open(resolve({{"model.dtype", "\"bf16\""}}), *registry_, services_,
                                      {}, pool->model());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_NE(refused.error().message.find("model.dtype"), std::string::npos)
      << refused.error().message;
}

TEST_F(ConcurrencyTest, LimitsEndOnlyTheirOwnRequest) {
  const auto pool = open_pool({});
  RequestLimits late;
  late.deadline = std::chrono::steady_clock::now() - 1ms;
  const auto refused = pool->answer(asked_[0], late);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(refused.error().message, "not answered before its deadline");
  const std::atomic<bool> cancelled{true};
  RequestLimits stopped;
  stopped.cancelled = &cancelled;
  EXPECT_EQ(pool->answer(asked_[0], stopped).error().message, "stopped while answering");
  EXPECT_TRUE(pool->answer(asked_[0]).ok());
}

TEST_F(ConcurrencyTest, TheCacheOfBlocksIsBounded) {
  const auto wide = open_pool({});
  const auto narrow = open_pool({{"model.block_cache_bytes", "1"}});
  const BlockCacheCounts wide_before = wide->cache_counts(), before = narrow->cache_counts();
  for (int round = 0; round < 2; ++round)
    for (const std::string& text : asked_) {
      const auto one = wide->answer(text), two = narrow->answer(text);
      ASSERT_TRUE(one.ok() && two.ok());
      EXPECT_EQ(expected_of(*one), expected_of(*two));
    }
  const BlockCacheCounts after = wide->cache_counts(), narrow_after = narrow->cache_counts();
  EXPECT_EQ(after.dropped, wide_before.dropped);
  EXPECT_GE(after.found, after.opened - wide_before.opened) << "the second round opens none";
  EXPECT_GT(narrow_after.opened - before.opened, after.opened - wide_before.opened);
  EXPECT_GT(narrow_after.dropped, before.dropped);
  EXPECT_LT(narrow_after.bytes, after.bytes);
}

}  // namespace
}  // namespace dbsa
