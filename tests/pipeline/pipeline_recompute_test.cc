// selection.recompute: chosen blocks computed again for every query, as one dense prompt.
#include <filesystem>
#include <iostream>

#include "tests/pipeline/oracle_labels.h"
#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

PipelineHarness::Overrides recompute(PipelineHarness::Overrides more = {}) {
  more.push_back({"selection.recompute", "true"});
  more.push_back({"decoding.method", "\"likelihood\""});
  return more;
}

TEST_F(PipelineTest, RecomputedBlocksAreOneDensePromptWithTheQuery) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  const auto tokenizer = Tokenizer::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok() && tokenizer.ok());
  for (const bool prefix : {false, true}) {
    for (const char* order : {"index", "low_to_high"}) {
      PipelineHarness::Overrides settings =
          recompute({{"selection.order", "\"" + std::string(order) + "\""}});
      if (prefix) {
        settings.push_back({"prompt.anchor", "\"prefix\""});
        settings.push_back({"prompt.instruction", "\"Name it.\""});
        settings.push_back({"prompt.bos", "true"});
      }
      auto harness = open(settings);
      const auto report = harness->pipeline().encode(false, {});
      ASSERT_TRUE(report.ok()) << report.error().message;
      const auto pool = read_stored_pool(report->pool_location);
      ASSERT_TRUE(pool.ok());
      const auto told = harness->pipeline().answer("something about topic 1");
      ASSERT_TRUE(told.ok()) << told.error().message;
      EXPECT_EQ(told->blocks.size(), prefix ? 4u : 3u);
      OraclePrompt prompt;
      for (const AnswerBlock& block : told->blocks)
        prompt.pieces.push_back(pool->blocks[static_cast<size_t>(block.block)].token_ids);
      prompt.query = *(*tokenizer)->encode("query: something about topic 1\nintent:");
      prompt.piece_sees = [](size_t, size_t) { return true; };
      prompt.query_sees = [](size_t) { return true; };
      const double worst = worst_difference(
          told->label_log_probabilities,
          oracle_label_log_probabilities(*oracle, prompt, harness->pipeline().pool().labels));
      std::cout << order << (prefix ? " with a prefix: " : ": ") << worst << "\n";
      EXPECT_LE(worst, kLabelTolerance);
    }
  }
}

TEST_F(PipelineTest, RecomputingEverythingIsDenseStoredIcl) {
  PipelineHarness::Overrides all = {{"selection.ratio", "1.0"}};
  for (const auto& setting : settings_of({"causal", 0, kBlocks}, false)) all.push_back(setting);
  PipelineHarness::Overrides stored = all;
  stored.push_back({"decoding.method", "\"likelihood\""});
  auto dense = open(stored);
  auto again = open(recompute(all));
  ASSERT_TRUE(dense->pipeline().encode(false, {}).ok());
  ASSERT_TRUE(again->pipeline().encode(false, {}).ok());
  const auto queries = dense->pipeline().load_queries();
  ASSERT_TRUE(queries.ok());
  double worst = 0;
  for (const Example& query : *queries) {
    const auto a = dense->pipeline().answer(query.text);
    const auto b = again->pipeline().answer(query.text);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->label.text, b->label.text);
    EXPECT_EQ(a->selected_tokens, b->selected_tokens);
    EXPECT_EQ(a->query_tokens, b->query_tokens);
    worst =
        std::max(worst, worst_difference(a->label_log_probabilities, b->label_log_probabilities));
  }
  std::cout << "worst difference " << worst << "\n";
  EXPECT_LE(worst, 2 * kLabelTolerance);
}

TEST_F(PipelineTest, NothingIsEncodedOrStoredForWhatIsRecomputed) {
  auto first = open(recompute());
  const auto report = first->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.blocks, kBlocks);
  EXPECT_EQ(report->estimate.blocks_to_encode, 0);
  EXPECT_EQ(report->estimate.bytes_to_store, 0u);
  EXPECT_EQ(report->blocks_encoded, 0);
  EXPECT_EQ(report->kv_bytes, 0u);
  const Told expected = ask(first->pipeline());
  EXPECT_EQ(expected.rebuilt, 0);
  // Another process answers from the manifest only.
  auto second = open(recompute());
  const Status opened = second->pipeline().open_pool();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE(ask(second->pipeline()) == expected);
  std::error_code absent;
  for (const auto& entry :
       std::filesystem::directory_iterator(workspace_.path("store/packs"), absent))
    ADD_FAILURE() << entry.path();
}

TEST_F(PipelineTest, APoolLongerThanTheModelMayBeRecomputedInPart) {
  constexpr size_t kPositions = 700;
  auto model = nlohmann::json::parse(workspace_.read("model/config.json"));
  model["max_position_embeddings"] = kPositions;
  workspace_.write("model/config.json", model.dump());
  size_t place = texts_.size();
  for (size_t bytes = 0; bytes < kPositions; bytes += 40, ++place)
    add_demonstration(place, "question " + std::to_string(place) + " of a long pool of topics", 1);
  write_demonstrations();
  PipelineHarness::Overrides causal = settings_of({"causal", 0, kBlocks}, false);
  causal.push_back({"selection.ratio", "0.1"});
  const auto stored = open(causal)->pipeline().encode(false, {});
  ASSERT_FALSE(stored.ok());
  EXPECT_NE(stored.error().message.find(" positions, with all that it sees,"), std::string::npos)
      << stored.error().message;
  auto harness = open(recompute(causal));
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(harness->pipeline().answer("something about topic 1").ok());
}

TEST_F(PipelineTest, RecomputedBlocksStandEndToEnd) {
  const auto refused = PipelineHarness::open(workspace_.path("pipeline.toml"),
                                             recompute({{"selection.positions", "\"original\""}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_EQ(refused.error().message,
            "--set selection.recompute: chosen blocks that are computed again stand end to end; "
            "write positions = \"contiguous\"");
}

}  // namespace
}  // namespace dbsa
