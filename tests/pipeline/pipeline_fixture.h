// A pool of six small blocks, a tiny model, and pipelines on them.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/pipeline/workspace_store.h"
#include "tests/support/pipeline_harness.h"
#include "tests/support/workspace.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

namespace dbsa {

inline constexpr int kBlocks = 6;
inline constexpr int kBlockSize = 2;

class PipelineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    use_own_cache();
    make_model("model");
    for (int i = 0; i < kBlocks * kBlockSize; ++i)
      add_demonstration(static_cast<size_t>(i),
                        "question " + std::string(1, static_cast<char>('a' + i)) + " about topic " +
                            std::to_string(i % 3),
                        i % 3);
    write_demonstrations();
    std::string queries;
    for (int i = 0; i < 4; ++i)
      queries += nlohmann::json{{"text", "something about topic " + std::to_string(i)},
                                {"label", "topic " + std::to_string(i % 3)}}
                     .dump() +
                 "\n";
    workspace_.write("queries.jsonl", queries);
    workspace_.write("pipeline.toml", R"([model]
path = "model"
[data]
demonstrations = "demonstrations.jsonl"
queries = "queries.jsonl"
[prompt]
input_prefix = "query: "
output_prefix = "intent: "
[block_grouper]
plugin = "random"
block_size = 2
[mask_pattern]
plugin = "dbsa"
[retriever]
plugin = "bm25"
[selection]
ratio = 0.5
[kv_store]
plugin = "hdf5"
path = "store"
[attention_backend]
plugin = "cpu"
)");
  }

  void make_model(const std::string& name, uint64_t seed = 1) {
    auto config = tools::preset_config("tiny");
    ASSERT_TRUE(config.ok());
    tools::CheckpointPlan plan;
    plan.config = *config;
    plan.bf16 = false;
    plan.seed = seed;
    plan.overwrite = true;
    const auto size = tools::write_checkpoint(workspace_.path(name), plan);
    ASSERT_TRUE(size.ok()) << size.error().message;
  }

  void add_demonstration(size_t place, const std::string& text, int topic) {
    texts_.insert(texts_.begin() + static_cast<std::ptrdiff_t>(place), text);
    topics_.insert(topics_.begin() + static_cast<std::ptrdiff_t>(place), topic);
  }

  void write_demonstrations() const {
    std::string lines;
    for (size_t i = 0; i < texts_.size(); ++i)
      lines += nlohmann::json{{"text", texts_[i]}, {"label", "topic " + std::to_string(topics_[i])}}
                   .dump() +
               "\n";
    workspace_.write("demonstrations.jsonl", lines);
  }

  std::unique_ptr<PipelineHarness> open(const PipelineHarness::Overrides& overrides) const {
    auto harness = PipelineHarness::open(workspace_.path("pipeline.toml"), overrides);
    if (!harness.ok()) throw std::runtime_error(harness.error().message);
    return std::move(harness).value();
  }

  EncodeReport encode(const PipelineHarness::Overrides& overrides, bool regroup = false) const {
    auto report = open(overrides)->pipeline().encode(regroup, {});
    if (!report.ok()) throw std::runtime_error(report.error().message);
    return *report;
  }

  struct Told {
    std::vector<std::string> labels;
    std::vector<double> log_probabilities;
    int64_t rebuilt = 0;
    bool operator==(const Told& other) const {
      return labels == other.labels && log_probabilities == other.log_probabilities;
    }
  };

  static Told ask(Pipeline& pipeline) {
    Told told;
    const auto queries = pipeline.load_queries();
    if (!queries.ok()) throw std::runtime_error(queries.error().message);
    for (const Example& query : *queries) {
      const auto answer = pipeline.answer(query.text);
      if (!answer.ok()) throw std::runtime_error(answer.error().message);
      told.labels.push_back(answer->label.text);
      told.log_probabilities.push_back(answer->label.log_probability);
      told.rebuilt += answer->blocks_rebuilt;
    }
    return told;
  }

  // As ask, all queries at once.
  static Told ask_together(Pipeline& pipeline) {
    const auto queries = pipeline.load_queries();
    if (!queries.ok()) throw std::runtime_error(queries.error().message);
    std::vector<std::string> texts;
    for (const Example& query : *queries) texts.push_back(query.text);
    Told told;
    for (const Result<Outcome>& outcome : pipeline.answer_together(texts)) {
      if (!outcome.ok()) throw std::runtime_error(outcome.error().message);
      const Answer& answer = std::get<Answer>(*outcome);
      told.labels.push_back(answer.label.text);
      told.log_probabilities.push_back(answer.label.log_probability);
      told.rebuilt += answer.blocks_rebuilt;
    }
    return told;
  }

  // The block of the pool in which a demonstration stands.
  int64_t block_of(const EncodeReport& report, int64_t demonstration) const {
    const auto pool = read_stored_pool(report.pool_location);
    if (!pool.ok()) throw std::runtime_error(pool.error().message);
    for (size_t b = 0; b < pool->blocks.size(); ++b)
      for (const int64_t id : pool->blocks[b].demonstrations)
        if (id == demonstration) return static_cast<int64_t>(b);
    throw std::runtime_error("the demonstration stands in no block");
  }

  Workspace workspace_;
  std::vector<std::string> texts_;
  std::vector<int> topics_;
};

struct Mask {
  const char* plugin;
  int64_t anchors;   // blocks
  int64_t previous;  // blocks; large for causal
};

// The mask's part of a pipeline file.
inline PipelineHarness::Overrides settings_of(const Mask& mask, bool global) {
  PipelineHarness::Overrides settings = {
      {"mask_pattern.plugin", "\"" + std::string(mask.plugin) + "\""},
      {"mask_pattern.encode_positions", global ? "\"global\"" : "\"packed\""}};
  if (mask.plugin == std::string("dbsa")) {
    settings.push_back({"mask_pattern.anchor_blocks", std::to_string(mask.anchors)});
    settings.push_back({"mask_pattern.previous_blocks", std::to_string(mask.previous)});
  }
  return settings;
}

}  // namespace dbsa
