// decoding.method = likelihood: all labels in one pass, against a forward pass for each.
#include <cmath>
#include <iostream>

#include "tests/pipeline/oracle_labels.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

// Labels of many shapes: one begins another, two begin alike, one is a single character.
const char* const kLabels[] = {"topic", "topic 1", "topic 10", "tone", "x"};

class LikelihoodTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    std::string lines;
    for (size_t i = 0; i < texts_.size(); ++i)
      lines += nlohmann::json{{"text", texts_[i]}, {"label", kLabels[i % 5]}}.dump() + "\n";
    workspace_.write("demonstrations.jsonl", lines);
  }

  static PipelineHarness::Overrides likelihood(PipelineHarness::Overrides more) {
    more.push_back({"decoding.method", "\"likelihood\""});
    return more;
  }

  std::vector<int32_t> query_ids(const std::string& text) const {
    const auto tokenizer = Tokenizer::load(workspace_.path("model"));
    const auto ids = (*tokenizer)->encode("query: " + text + "\nintent:");
    if (!ids.ok()) throw std::runtime_error(ids.error().message);
    return *ids;
  }

  static void expect_sound(const Answer& told, const std::vector<PoolLabel>& labels) {
    double sum = 0;
    size_t best = 0;
    const std::vector<double>& scores = told.label_log_probabilities;
    for (size_t i = 0; i < scores.size(); ++i) {
      sum += std::exp(scores[i]);
      if (scores[i] > scores[best]) best = i;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
    EXPECT_EQ(told.label.text, labels[best].text);
    EXPECT_EQ(told.label.log_probability, scores[best]);
    ASSERT_TRUE(told.runner_up.has_value());
    size_t better = 0;
    for (const double score : scores) better += score > told.runner_up->log_probability;
    EXPECT_EQ(better, 1u);
  }
};

// Every pool block stands at its place in the pool, so that one sequence with a dense mask says it
// all: what blocks see of each other, and what the query sees of them.
TEST_F(LikelihoodTest, EqualsAPassForEachLabelUnderEveryMask) {
  struct Case {
    const char* what;
    Mask mask;
    const char* ratio;
    bool prefix;
  };
  const Case cases[] = {{"dense, all", {"causal", 0, kBlocks}, "1.0", false},
                        {"dense, some", {"causal", 0, kBlocks}, "0.5", false},
                        {"sparse", {"dbsa", 1, 1}, "0.5", false},
                        {"self", {"self", 0, 0}, "0.4", false},
                        {"sparse behind a prefix", {"dbsa", 1, 1}, "0.5", true}};
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok());
  for (const Case& c : cases) {
    PipelineHarness::Overrides settings = likelihood(settings_of(c.mask, /*global=*/true));
    settings.push_back({"selection.ratio", c.ratio});
    settings.push_back({"selection.positions", "\"original\""});
    if (c.prefix) {
      settings.push_back({"prompt.anchor", "\"prefix\""});
      settings.push_back({"prompt.instruction", "\"Name it.\""});
      settings.push_back({"prompt.bos", "true"});
    }
    auto harness = open(settings);
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    const auto pool = read_stored_pool(report->pool_location);
    ASSERT_TRUE(pool.ok());
    for (const std::string text : {"something about topic 1", "question b"}) {
      if (kSanitized && text == "question b") continue;
      const auto told = harness->pipeline().answer(text);
      ASSERT_TRUE(told.ok()) << told.error().message;
      OraclePrompt prompt;
      for (const PoolBlock& block : pool->blocks) prompt.pieces.push_back(block.token_ids);
      prompt.query = query_ids(text);
      prompt.piece_sees = [&](size_t row, size_t token) {
        const auto r = static_cast<int64_t>(row), t = static_cast<int64_t>(token);
        return t < c.mask.anchors || t >= r - c.mask.previous;
      };
      prompt.query_sees = [&](size_t piece) {
        for (const AnswerBlock& block : told->blocks)
          if (block.block == static_cast<int64_t>(piece)) return true;
        return false;
      };
      const double worst = worst_difference(
          told->label_log_probabilities,
          oracle_label_log_probabilities(*oracle, prompt, harness->pipeline().pool().labels));
      std::cout << c.what << ": " << worst << "\n";
      EXPECT_LE(worst, kLabelTolerance) << c.what;
      expect_sound(*told, harness->pipeline().pool().labels);
    }
  }
}

// Under self, blocks encoded by themselves are laid end to end: a mask of blocks on the diagonal.
TEST_F(LikelihoodTest, EqualsAPassForEachLabelWhereBlocksStandEndToEnd) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok());
  for (const char* order : {"index", "low_to_high", "middle"}) {
    PipelineHarness::Overrides settings = likelihood(settings_of({"self", 0, 0}, false));
    settings.push_back({"selection.order", "\"" + std::string(order) + "\""});
    auto harness = open(settings);
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    const auto pool = read_stored_pool(report->pool_location);
    const auto told = harness->pipeline().answer("question c about topic 2");
    ASSERT_TRUE(told.ok()) << told.error().message;
    OraclePrompt prompt;
    for (const AnswerBlock& block : told->blocks)
      prompt.pieces.push_back(pool->blocks[static_cast<size_t>(block.block)].token_ids);
    prompt.query = query_ids("question c about topic 2");
    prompt.piece_sees = [](size_t, size_t) { return false; };
    prompt.query_sees = [](size_t) { return true; };
    const double worst = worst_difference(
        told->label_log_probabilities,
        oracle_label_log_probabilities(*oracle, prompt, harness->pipeline().pool().labels));
    std::cout << order << ": " << worst << "\n";
    EXPECT_LE(worst, kLabelTolerance);
  }
}

TEST_F(LikelihoodTest, IsBitIdenticalWhateverTheChunksAndThreads) {
  std::vector<std::vector<double>> expected;
  for (const char* chunk : {"512", "1", "3", "7"}) {
    for (const int threads : {1, 2}) {
      const std::string store = std::string("\"store-") + chunk + "-" + std::to_string(threads);
      auto harness = PipelineHarness::open(
          workspace_.path("pipeline.toml"),
          likelihood({{"model.chunk_tokens", chunk}, {"kv_store.path", store + "\""}}), threads);
      ASSERT_TRUE(harness.ok()) << harness.error().message;
      ASSERT_TRUE((*harness)->pipeline().encode(false, {}).ok());
      std::vector<std::vector<double>> told;
      for (const char* text : {"something about topic 1", "q", "tone"}) {
        const auto answer = (*harness)->pipeline().answer(text);
        ASSERT_TRUE(answer.ok()) << answer.error().message;
        told.push_back(answer->label_log_probabilities);
      }
      if (expected.empty()) expected = told;
      EXPECT_EQ(told, expected) << "chunks of " << chunk << ", " << threads << " threads";
    }
  }
}

TEST_F(LikelihoodTest, IsAnsweredTheSameFromTheManifest) {
  auto first = open(likelihood({}));
  ASSERT_TRUE(first->pipeline().encode(false, {}).ok());
  auto second = open(likelihood({}));
  ASSERT_TRUE(second->pipeline().open_pool().ok());
  for (const char* text : {"something about topic 1", "tone"})
    EXPECT_EQ(first->pipeline().answer(text)->label_log_probabilities,
              second->pipeline().answer(text)->label_log_probabilities);
}

}  // namespace
}  // namespace dbsa
