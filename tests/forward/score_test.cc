// Scores of many rows, whose logits do not fit into what is computed at once, against those of
// each.
#include <gtest/gtest.h>

#include "tests/forward/forward_harness.h"
#include "tests/support/workspace.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

namespace dbsa {
namespace {

TEST(Score, RowsInSeveralGroupsAreBitIdenticalToEachAlone) {
  constexpr int64_t kVocabulary = 300000;  // 55 rows of logits in 64 MiB
  constexpr int64_t kRows = 120;
  Workspace workspace;
  tools::CheckpointPlan plan;
  plan.config = tools::preset_config("tiny").value();
  plan.config["vocab_size"] = kVocabulary;
  plan.config["num_hidden_layers"] = 1;
  plan.seed = 5;
  const auto written = tools::write_checkpoint(workspace.path("model"), plan);
  ASSERT_TRUE(written.ok()) << written.error().message;
  ForwardHarness harness(workspace.path("model"), {.precision = kBf16});
  host::Kv kv = harness.make_kv(kRows);
  ForwardInput input;
  std::vector<std::vector<int32_t>> tokens;
  for (int32_t i = 0; i < kRows; ++i) {
    input.ids.push_back(i * 37);
    input.positions.push_back(i);
    tokens.push_back({i, 299999 - i});
  }
  input.ranges.push_back({kRows, &kv, 0, {segment_of(kv, DBSA_SEGMENT_CAUSAL, kRows, 0)}});
  std::vector<ScoreAsk> asks;
  for (int64_t i = 0; i < kRows; ++i) asks.push_back({i, tokens[static_cast<size_t>(i)]});
  const auto together = harness.model().score(input, asks);
  ASSERT_TRUE(together.ok()) << together.error().message;
  ASSERT_EQ(together->size(), static_cast<size_t>(kRows));
  for (const size_t i : {0, 1, 54, 55, 56, 109, 110, 111, 119}) {
    const auto alone = harness.model().score(input, std::span(asks).subspan(i, 1));
    ASSERT_TRUE(alone.ok()) << alone.error().message;
    EXPECT_EQ((*alone)[0], (*together)[i]) << "row " << i;
  }
}

}  // namespace
}  // namespace dbsa
