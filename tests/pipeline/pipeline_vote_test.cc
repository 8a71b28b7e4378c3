// decoding.method = vote: the labels of the chosen demonstrations, counted.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

PipelineHarness::Overrides vote(PipelineHarness::Overrides more = {}) {
  more.push_back({"decoding.method", "\"vote\""});
  return more;
}

struct Share {
  std::string label;
  int count = 0;
  double best = -std::numeric_limits<double>::infinity();
};

// Most votes first, then the best score, then byte order.
std::vector<Share> count(const Pool& pool, const Answer& answer) {
  std::map<std::string, Share> shares;
  for (const AnswerBlock& block : answer.blocks)
    for (const int64_t id : pool.blocks[static_cast<size_t>(block.block)].demonstrations) {
      const int32_t label = pool.demonstration_labels[static_cast<size_t>(id)];
      Share& share = shares[pool.labels[static_cast<size_t>(label)].text];
      ++share.count;
      if (block.score) share.best = std::max(share.best, *block.score);
    }
  std::vector<Share> order;
  for (const auto& [label, share] : shares) {
    order.push_back(share);
    order.back().label = label;
  }
  std::sort(order.begin(), order.end(), [](const Share& a, const Share& b) {
    if (a.count != b.count) return a.count > b.count;
    if (a.best != b.best) return a.best > b.best;
    return a.label < b.label;
  });
  return order;
}

TEST_F(PipelineTest, AVoteCountsTheLabelsOfTheChosenDemonstrations) {
  int ties = 0;
  for (const char* ratio : {"0.2", "0.35", "0.5", "0.7", "1.0"}) {
    for (const char* seed : {"0", "1", "2", "3"}) {
      auto harness = open(vote({{"selection.ratio", ratio}, {"block_grouper.seed", seed}}));
      const auto report = harness->pipeline().encode(false, {});
      ASSERT_TRUE(report.ok()) << report.error().message;
      const auto pool = read_stored_pool(report->pool_location);
      ASSERT_TRUE(pool.ok());
      for (size_t id = 0; id < topics_.size(); ++id)
        EXPECT_EQ(pool->labels[static_cast<size_t>(pool->demonstration_labels[id])].text,
                  "topic " + std::to_string(topics_[id]));
      for (const std::string text : {"question d about topic 0", "topic 2", "nothing of it"}) {
        const auto told = harness->pipeline().answer(text);
        ASSERT_TRUE(told.ok()) << told.error().message;
        const std::vector<Share> expected = count(*pool, *told);
        int all = 0;
        for (const Share& share : expected) all += share.count;
        EXPECT_EQ(told->label.text, expected[0].label) << ratio << " " << seed << " " << text;
        EXPECT_EQ(told->label.log_probability,
                  std::log(static_cast<double>(expected[0].count) / all));
        ASSERT_EQ(told->runner_up.has_value(), expected.size() > 1);
        if (expected.size() > 1) {
          ties += expected[0].count == expected[1].count;
          EXPECT_EQ(told->runner_up->text, expected[1].label);
          EXPECT_EQ(told->runner_up->log_probability,
                    std::log(static_cast<double>(expected[1].count) / all));
        }
      }
    }
  }
  EXPECT_GT(ties, 5) << "so that ties are tested";
}

TEST_F(PipelineTest, AVoteComputesNothing) {
  auto harness = open(vote());
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->estimate.blocks_to_encode, 0);
  EXPECT_EQ(report->blocks_encoded, 0);
  EXPECT_EQ(report->kv_bytes, 0u);
  const auto told = harness->pipeline().answer("question d about topic 0");
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->query_tokens, 0);
  EXPECT_EQ(told->blocks_rebuilt, 0);
  EXPECT_TRUE(told->label_log_probabilities.empty());
  EXPECT_EQ(told->seconds.total(), told->seconds[AnswerStep::kRetrieve]);
  EXPECT_GT(told->seconds[AnswerStep::kRetrieve], 0);
  // Another process votes the same from the manifest.
  const Told expected = ask(harness->pipeline());
  auto second = open(vote());
  ASSERT_TRUE(second->pipeline().open_pool().ok());
  EXPECT_TRUE(ask(second->pipeline()) == expected);
}

// The best example's label, of blocks of one: the nearest neighbour.
TEST_F(PipelineTest, AVoteOfOneIsTheNearestNeighbour) {
  PipelineHarness::Overrides one = settings_of({"self", 0, 0}, false);
  one.push_back({"block_grouper.block_size", "1"});
  one.push_back({"selection.ratio", "0.05"});
  one.push_back({"retriever.text", "\"text\""});
  auto harness = open(vote(one));
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  for (size_t i = 3; i < texts_.size(); ++i) {
    const auto told = harness->pipeline().answer(texts_[i]);
    ASSERT_TRUE(told.ok());
    ASSERT_EQ(told->blocks.size(), 1u);
    EXPECT_EQ(told->label.log_probability, 0);
    EXPECT_FALSE(told->runner_up.has_value());
  }
}

// No model reads the chosen demonstrations, so they may be longer than it takes.
TEST_F(PipelineTest, AVoteIsNotBoundToTheModelsPositions) {
  constexpr size_t kPositions = 700;
  auto model = nlohmann::json::parse(workspace_.read("model/config.json"));
  model["max_position_embeddings"] = kPositions;
  workspace_.write("model/config.json", model.dump());
  size_t place = texts_.size();
  for (size_t bytes = 0; bytes < kPositions; bytes += 40, ++place)
    add_demonstration(place, "question " + std::to_string(place) + " of a long pool of topics", 1);
  write_demonstrations();
  auto harness = open(vote({{"selection.ratio", "1.0"}}));
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(harness->pipeline().answer("a topic")->label.text, "topic 1");
}

TEST_F(PipelineTest, AVoteNeedsDemonstrations) {
  std::string text = workspace_.read("pipeline.toml");
  text.replace(text.find("ratio = 0.5"), 11, "count = 0");
  text.replace(text.find("plugin = \"dbsa\""), 15, "plugin = \"self\"");
  const std::string file = workspace_.write("zero.toml", text + "[decoding]\nmethod = \"vote\"\n");
  const auto refused = PipelineHarness::open(file);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_EQ(refused.error().message,
            file + ":24:1: decoding.method: a vote needs demonstrations; raise selection.count");
}

}  // namespace
}  // namespace dbsa
