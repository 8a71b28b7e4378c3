// Queries without demonstrations, and labels that no demonstration has.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "model/tokenizer/tokenizer.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/reference/oracle.h"

namespace dbsa {
namespace {

class ZeroShotTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    write_pipeline("self", "count = 0");
  }

  void write_pipeline(const std::string& mask, const std::string& selection) const {
    std::string text = workspace_.read("pipeline.toml");
    const auto set = [&](const std::string& table, const std::string& line) {
      const size_t begin = text.find('\n', text.find("[" + table + "]")) + 1;
      text.replace(begin, text.find('\n', begin) - begin, line);
    };
    set("mask_pattern", "plugin = \"" + mask + "\"");
    set("selection", selection);
    workspace_.write("pipeline.toml", text);
  }

  static Answer answer(PipelineHarness& harness, const std::string& text) {
    auto answer = harness.pipeline().answer(text);
    if (!answer.ok()) throw std::runtime_error(answer.error().message);
    return std::move(answer).value();
  }
};

// The log-probability of "topic <digit>" among the three, from a forward pass over only the query.
TEST_F(ZeroShotTest, TheQueryAloneIsThePrompt) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const auto tokenizer = Tokenizer::load(workspace_.path("model"));
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(tokenizer.ok() && oracle.ok());
  for (const std::string query : {"something about topic 1", "a"}) {
    const auto ids = (*tokenizer)->encode("query: " + query + "\nintent: topic ");
    ASSERT_TRUE(ids.ok());
    const auto length = static_cast<int64_t>(ids->size());
    const reference::Matrix logits =
        oracle->logits(*ids, reference::plain_positions(length), reference::causal_mask(length));
    const double* last = logits.data() + (length - 1) * oracle->vocabulary();
    std::vector<double> of_label;
    for (const char* digit : {"0", "1", "2"}) {
      const auto id = (*tokenizer)->encode(digit);
      ASSERT_TRUE(id.ok() && id->size() == 1);
      of_label.push_back(last[id->front()]);
    }
    const auto best = std::max_element(of_label.begin(), of_label.end());
    double sum = 0;
    for (const double logit : of_label) sum += std::exp(logit - *best);

    const Answer told = answer(*harness, query);
    EXPECT_EQ(told.label.text, "topic " + std::to_string(best - of_label.begin()));
    // float32 against double, over a few layers.
    EXPECT_NEAR(told.label.log_probability, -std::log(sum), 1e-4);
    EXPECT_TRUE(told.blocks.empty());
    EXPECT_EQ(told.selected_tokens, 0);
  }
}

TEST_F(ZeroShotTest, NothingIsEncodedOrStored) {
  for (const char* mask : {"self", "causal"}) {
    write_pipeline(mask, "count = 0");
    const EncodeReport report = encode({});
    EXPECT_EQ(report.estimate.demonstrations, 0);
    EXPECT_EQ(report.estimate.blocks, 0);
    EXPECT_EQ(report.estimate.bytes_to_store, 0u);
    EXPECT_EQ(report.blocks_encoded, 0);
    EXPECT_EQ(report.kv_bytes, 0u);
    EXPECT_EQ(report.labels.size(), 3u);
    EXPECT_TRUE(report.assignment.empty());
  }
}

TEST_F(ZeroShotTest, OnlyTheLabelsOfTheDemonstrationsMatter) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Told before = ask(harness->pipeline());
  for (std::string& text : texts_) text = "another " + text;
  write_demonstrations();
  harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  EXPECT_TRUE(ask(harness->pipeline()) == before);
}

TEST_F(ZeroShotTest, APrefixIsKeptAndEqualsADemonstrationOfTheSameText) {
  // The instruction reads as the one demonstration of the other pool.
  auto prefixed = open({{"prompt.anchor", "\"prefix\""},
                        {"prompt.instruction", "\"query: alone\\nintent: topic 0\""},
                        {"mask_pattern.plugin", "\"dbsa\""}});
  const auto report = prefixed->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.blocks, 1);
  EXPECT_EQ(report->blocks_encoded, 1);
  EXPECT_EQ(report->assignment, (std::vector<std::vector<int64_t>>{{}}));
  const Answer told = answer(*prefixed, "something about topic 1");
  ASSERT_EQ(told.blocks.size(), 1u);
  EXPECT_EQ(told.blocks[0].block, 0);

  workspace_.write("one.jsonl", "{\"text\": \"alone\", \"label\": \"topic 0\"}\n");
  write_pipeline("self", "count = 1");
  auto shot =
      open({{"data.demonstrations", "\"one.jsonl\""}, {"data.labels", "\"demonstrations.jsonl\""}});
  const auto encoded = shot->pipeline().encode(false, {});
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_EQ(encoded->blocks_encoded, 0) << "its block is the prefix";
  const Answer expected = answer(*shot, "something about topic 1");
  EXPECT_EQ(told.label.text, expected.label.text);
  EXPECT_EQ(told.label.log_probability, expected.label.log_probability);
}

TEST_F(ZeroShotTest, ItsPoolIsOpenedAgainAndIsNotThatOfOtherSelections) {
  auto first = open({});
  const auto zero = first->pipeline().encode(false, {});
  ASSERT_TRUE(zero.ok());
  const Told expected = ask(first->pipeline());
  write_pipeline("self", "count = 2");
  const EncodeReport some = encode({});
  EXPECT_NE(some.pool_id, zero->pool_id);
  EXPECT_EQ(some.blocks_encoded, kBlocks);

  write_pipeline("self", "count = 0");
  auto again = open({});
  const Status opened = again->pipeline().open_pool();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE(ask(again->pipeline()) == expected);
  // It names no block, and is no obstacle to collecting others.
  WorkspaceStore store(workspace_, "store");
  const auto freed = store->collect(0, false, [](const KvEntry&) { FAIL() << "all are needed"; });
  ASSERT_TRUE(freed.ok()) << freed.error().message;
  EXPECT_EQ(static_cast<int>(store->stats()->blocks), kBlocks);
}

// ---- labels ------------------------------------------------------------------------------------

TEST_F(PipelineTest, AFewDemonstrationsChooseFromAllLabels) {
  // Three draws of one demonstration, so that at least two labels are in none of it.
  std::vector<std::string> hashes;
  for (const char* seed : {"0", "1", "2"}) {
    auto harness = open({{"data.demonstration_count", "1"},
                         {"data.seed", seed},
                         {"selection.ratio", "1.0"},
                         {"data.labels", "\"demonstrations.jsonl\""}});
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->estimate.demonstrations, 1);
    EXPECT_EQ(report->labels.size(), 3u);
    EXPECT_EQ(harness->pipeline().labels(),
              (std::vector<std::string>{"topic 0", "topic 1", "topic 2"}));
    EXPECT_EQ(ask(harness->pipeline()).labels.size(), 4u) << "no query is refused";
    hashes.push_back(report->demonstrations_hash);
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_GT(std::unique(hashes.begin(), hashes.end()) - hashes.begin(), 1) << "draws differ";

  auto harness = open({{"data.demonstration_count", "1"}, {"selection.ratio", "1.0"}});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  EXPECT_EQ(harness->pipeline().labels().size(), 1u);
  EXPECT_EQ(ask(harness->pipeline()).labels.size(), 4u)
      << "a label may be one that cannot be chosen";
}

TEST_F(PipelineTest, AFileOfLabelsAddsToThoseOfTheDemonstrations) {
  workspace_.write("labels.csv", "label\ntopic 9\ntopic 1\ntopic 9\n");
  auto harness = open({{"data.labels", "\"labels.csv\""}});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  EXPECT_EQ(harness->pipeline().labels(),
            (std::vector<std::string>{"topic 0", "topic 1", "topic 2", "topic 9"}));
}

// ---- what a pool is ----------------------------------------------------------------------------

TEST_F(PipelineTest, HashesAndAssignmentTellPoolsApart) {
  const EncodeReport report = encode({});
  std::vector<int64_t> lines;
  ASSERT_EQ(report.assignment.size(), static_cast<size_t>(kBlocks));
  for (const auto& block : report.assignment) {
    EXPECT_EQ(block.size(), static_cast<size_t>(kBlockSize));
    lines.insert(lines.end(), block.begin(), block.end());
  }
  // Demonstration i stands on line i + 1.
  EXPECT_EQ(block_of(report, report.assignment[3][0] - 1), 3);
  std::sort(lines.begin(), lines.end());
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], static_cast<int64_t>(i) + 1);

  const EncodeReport same = encode({{"kv_store.path", "\"other\""}});
  EXPECT_EQ(same.demonstrations_hash, report.demonstrations_hash);
  EXPECT_EQ(same.blocks_hash, report.blocks_hash);
  EXPECT_EQ(same.assignment, report.assignment);
  const EncodeReport dealt = encode({{"block_grouper.seed", "1"}});
  EXPECT_EQ(dealt.demonstrations_hash, report.demonstrations_hash);
  EXPECT_NE(dealt.blocks_hash, report.blocks_hash);
  EXPECT_NE(dealt.assignment, report.assignment);
  const EncodeReport masked = encode(settings_of({"self", 0, 0}, false));
  EXPECT_EQ(masked.demonstrations_hash, report.demonstrations_hash);
  EXPECT_NE(masked.blocks_hash, report.blocks_hash);
  EXPECT_EQ(masked.assignment, report.assignment);
  texts_[5] += "!";
  write_demonstrations();
  const EncodeReport edited = encode({});
  EXPECT_NE(edited.demonstrations_hash, report.demonstrations_hash);
  EXPECT_NE(edited.blocks_hash, report.blocks_hash);
}

}  // namespace
}  // namespace dbsa
