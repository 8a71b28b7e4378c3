// decoding.method = trie against all labels one by one, a forward pass each, and against
// greedy_trie.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "icl/label_trie.h"
#include "tests/pipeline/oracle_labels.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

LabelTrie trie_of(const std::vector<PoolLabel>& labels) {
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  return *LabelTrie::build(tokens, names);
}

class TrieTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    write_labels(12);
  }

  // The demonstrations' three labels, and more: some begin others, all have few first characters.
  void write_labels(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i)
      lines += nlohmann::json{{"label", (i % 3 == 0   ? "topic "
                                         : i % 3 == 1 ? "tone"
                                                      : "t") +
                                            std::to_string(7 * i)}}
                   .dump() +
               "\n";
    workspace_.write("labels.jsonl", lines);
  }

  static PipelineHarness::Overrides with_labels(PipelineHarness::Overrides more,
                                                const std::string& method) {
    more.push_back({"data.labels", "\"labels.jsonl\""});
    more.push_back({"decoding.method", "\"" + method + "\""});
    return more;
  }

  std::vector<int32_t> query_of(const std::string& text) const {
    const auto tokenizer = Tokenizer::load(workspace_.path("model"));
    const auto ids = (*tokenizer)->encode("query: " + text + "\nintent:");
    if (!ids.ok()) throw std::runtime_error(ids.error().message);
    return *ids;
  }
};

const std::string kTexts[] = {"something about topic 1", "question b", "tone", "q"};

void expect_the_best_two(const Answer& told, const std::vector<double>& all,
                         const std::vector<PoolLabel>& labels) {
  const auto score_of = [&](const std::string& text) {
    for (size_t i = 0; i < labels.size(); ++i)
      if (labels[i].text == text) return all[i];
    throw std::runtime_error("no label " + text);
  };
  std::vector<double> sorted = all;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  EXPECT_NEAR(told.label.log_probability, sorted[0], kLabelTolerance);
  EXPECT_NEAR(told.label.log_probability, score_of(told.label.text), kLabelTolerance);
  ASSERT_TRUE(told.runner_up.has_value());
  EXPECT_NEAR(told.runner_up->log_probability, sorted[1], kLabelTolerance);
  EXPECT_NEAR(told.runner_up->log_probability, score_of(told.runner_up->text), kLabelTolerance);
  EXPECT_LE(told.runner_up->log_probability, told.label.log_probability);
  double sum = 0;
  for (const double score : all) sum += std::exp(score);
  EXPECT_NEAR(sum, 1, 1e-9) << "the definition";
}

// Every pool block stands at its place in the pool, so that one sequence with a mask says it all.
TEST_F(TrieTest, EqualsAPassForEachLabel) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok());
  const Mask mask = {"dbsa", 1, 1};
  PipelineHarness::Overrides settings = with_labels(settings_of(mask, /*global=*/true), "trie");
  settings.push_back({"selection.ratio", "0.5"});
  settings.push_back({"selection.positions", "\"original\""});
  auto harness = open(settings);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const auto pool = read_stored_pool(report->pool_location);
  ASSERT_TRUE(pool.ok());
  const std::vector<PoolLabel>& labels = harness->pipeline().pool().labels;
  const LabelTrie trie = trie_of(labels);
  ASSERT_GT(trie.inner_count(), 16) << "more than one request";
  for (const std::string& text : kTexts) {
    if (kSanitized && text != kTexts[0]) continue;
    const auto told = harness->pipeline().answer(text);
    ASSERT_TRUE(told.ok()) << told.error().message;
    OraclePrompt prompt;
    for (const PoolBlock& block : pool->blocks) prompt.pieces.push_back(block.token_ids);
    prompt.query = query_of(text);
    prompt.piece_sees = [&](size_t row, size_t token) {
      const auto r = static_cast<int64_t>(row), t = static_cast<int64_t>(token);
      return t < mask.anchors || t >= r - mask.previous;
    };
    prompt.query_sees = [&](size_t piece) {
      return std::any_of(told->blocks.begin(), told->blocks.end(), [&](const AnswerBlock& block) {
        return block.block == static_cast<int64_t>(piece);
      });
    };
    expect_the_best_two(*told, oracle_trie_log_probabilities(*oracle, prompt, trie), labels);
  }
}

// Labels are many, so that a walk takes several requests and more rows than there is room behind
// the query.
TEST_F(TrieTest, IsBitIdenticalWhateverTheChunksAndThreads) {
  write_labels(600);
  std::vector<Told> expected;
  for (const char* chunk : {"512", "1", "7"}) {
    for (const int threads : {1, 2}) {
      const std::string store = std::string("\"store-") + chunk + "-" + std::to_string(threads);
      auto harness = PipelineHarness::open(
          workspace_.path("pipeline.toml"),
          with_labels({{"model.chunk_tokens", chunk}, {"kv_store.path", store + "\""}}, "trie"),
          threads);
      ASSERT_TRUE(harness.ok()) << harness.error().message;
      ASSERT_TRUE((*harness)->pipeline().encode(false, {}).ok());
      const Told told = ask((*harness)->pipeline());
      if (expected.empty()) expected.push_back(told);
      EXPECT_EQ(told, expected[0]) << "chunks of " << chunk << ", " << threads << " threads";
      EXPECT_EQ(ask_together((*harness)->pipeline()), expected[0])
          << "together, chunks of " << chunk;
    }
  }
}

// A model of random weights finds all labels about as likely, so the greedy walk often misses.
TEST_F(TrieTest, IsNeverLessLikelyThanGreedyNorThanItsRunnerUp) {
  write_labels(200);
  auto exact = open(with_labels({}, "trie"));
  auto greedy = open(with_labels({}, "greedy_trie"));
  ASSERT_TRUE(exact->pipeline().encode(false, {}).ok());
  ASSERT_TRUE(greedy->pipeline().open_pool().ok()) << "a pool does not depend on decoding";
  int missed = 0, upside_down = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "question " + std::to_string(i * 37);
    const auto best = exact->pipeline().answer(text);
    const auto found = greedy->pipeline().answer(text);
    ASSERT_TRUE(best.ok() && found.ok());
    EXPECT_GE(best->label.log_probability, found->label.log_probability - kLabelTolerance) << text;
    ASSERT_TRUE(best->runner_up.has_value() && found->runner_up.has_value());
    EXPECT_LE(best->runner_up->log_probability, best->label.log_probability) << text;
    EXPECT_NE(best->runner_up->text, best->label.text) << text;
    missed += best->label.text != found->label.text;
    upside_down += found->runner_up->log_probability > found->label.log_probability;
  }
  std::cout << "the greedy walk missed " << missed << " of 20, its runner-up was likelier "
            << upside_down << " times\n";
  EXPECT_GT(missed, 0);
}

TEST_F(TrieTest, OneLabelIsCertain) {
  std::string lines;
  for (const std::string& text : texts_)
    lines += nlohmann::json{{"text", text}, {"label", "only"}}.dump() + "\n";
  workspace_.write("demonstrations.jsonl", lines);
  for (const char* method : {"trie", "greedy_trie"}) {
    auto harness = open({{"decoding.method", "\"" + std::string(method) + "\""}});
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const auto told = harness->pipeline().answer("question a");
    ASSERT_TRUE(told.ok()) << told.error().message;
    EXPECT_EQ(told->label.text, "only");
    EXPECT_EQ(told->label.log_probability, 0);
    EXPECT_FALSE(told->runner_up.has_value());
  }
}

}  // namespace
}  // namespace dbsa
