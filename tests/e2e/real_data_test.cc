// The whole path on real input: a trained checkpoint and published data sets. Skipped, visibly,
// where these are absent: they lie in DBSA_DATA, by default in ../shared beside the sources.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "icl/metrics.h"
#include "tests/support/pipeline_harness.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

std::string data_folder() {
  const char* set = std::getenv("DBSA_DATA");
  return set != nullptr ? set : std::string(DBSA_SOURCE_DIR) + "/../shared";
}

struct DataSet {
  const char* name;
  const char* input_prefix;
  const char* output_prefix;
};
constexpr DataSet kBanking77 = {"banking77", "query: ", "intent: "};
constexpr DataSet kTrec = {"trec", "Question: ", "Type: "};

// The whole training split, one demonstration a block, 16 of them by BM25 over the texts.
std::string pipeline_text(const DataSet& set, const std::string& store) {
  const std::string data = data_folder() + "/data/" + set.name;
  return "[model]\npath = \"" + data_folder() + "/models/icl-4m\"\n" +
         "[data]\ndemonstrations = \"" + data + "/train.jsonl\"\nqueries = \"" + data +
         "/test.jsonl\"\nquery_indices = \"" + data + "/test_indices.json\"\n" +
         "[prompt]\ninput_prefix = \"" + set.input_prefix + "\"\noutput_prefix = \"" +
         set.output_prefix + "\"\n" + "[block_grouper]\nplugin = \"random\"\nblock_size = 1\n" +
         "[mask_pattern]\nplugin = \"self\"\n" +
         "[retriever]\nplugin = \"bm25\"\ntext = \"text\"\n" +
         "[selection]\ncount = 16\norder = \"low_to_high\"\n" +
         "[kv_store]\nplugin = \"hdf5\"\npath = \"" + store + "\"\n" +
         "[attention_backend]\nplugin = \"cpu\"\n";
}

const PipelineHarness::Overrides kBosAnchor = {{"prompt.anchor", "\"prefix\""},
                                               {"prompt.bos", "true"},
                                               {"mask_pattern.plugin", "\"dbsa\""},
                                               {"mask_pattern.anchor_blocks", "1"},
                                               {"mask_pattern.previous_blocks", "0"}};

class RealData : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(data_folder() + "/models/icl-4m/model.safetensors"))
      GTEST_SKIP() << "no checkpoint in " << data_folder() << "/models/icl-4m; set DBSA_DATA";
  }

  struct Outcome {
    std::vector<std::string> labels;
    std::vector<double> log_probabilities;
    Scores scores;
  };

  static Outcome answer_all(Pipeline& pipeline) {
    const auto queries = pipeline.load_queries();
    if (!queries.ok()) throw std::runtime_error(queries.error().message);
    Outcome outcome;
    std::vector<std::string> expected;
    for (const Example& query : *queries) {
      const auto answer = pipeline.answer(query.text);
      if (!answer.ok()) throw std::runtime_error(answer.error().message);
      outcome.labels.push_back(answer->label.text);
      outcome.log_probabilities.push_back(answer->label.log_probability);
      expected.push_back(query.label);
    }
    outcome.scores = score_answers(expected, outcome.labels);
    return outcome;
  }

  std::unique_ptr<PipelineHarness> open(const DataSet& set,
                                        const PipelineHarness::Overrides& overrides) {
    auto harness = PipelineHarness::open(
        workspace_.write("pipeline.toml", pipeline_text(set, workspace_.path("store"))), overrides);
    if (!harness.ok()) throw std::runtime_error(harness.error().message);
    return std::move(harness).value();
  }

  Outcome run(const DataSet& set, const PipelineHarness::Overrides& overrides) {
    const auto harness = open(set, overrides);
    const auto report = harness->pipeline().encode(false, {});
    if (!report.ok()) throw std::runtime_error(report.error().message);
    const Outcome outcome = answer_all(harness->pipeline());
    std::cout << set.name << ": accuracy " << outcome.scores.accuracy << " of "
              << outcome.scores.count << ", " << report->tokens_encoded << " tokens encoded in "
              << report->encode_seconds << " s\n";
    return outcome;
  }

  // An independent implementation's figure for the same settings. It indexed plain words; with stop
  // words removed and words stemmed (our default, the paper's) other demonstrations are found:
  // better ones for banking77 (0.87), worse ones for trec (0.56), whose classes hang on stop words.
  void expect_near(const DataSet& set, PipelineHarness::Overrides overrides, double independent) {
    overrides.insert(overrides.end(),
                     {{"retriever.stemmer", "\"none\""}, {"retriever.stop_words", "\"none\""}});
    EXPECT_NEAR(run(set, overrides).scores.accuracy, independent, 0.03);
  }

  Workspace workspace_;
};

TEST_F(RealData, Banking77SixteenIsolatedDemonstrations) { expect_near(kBanking77, {}, 0.80); }
TEST_F(RealData, Banking77BehindABosAnchor) { expect_near(kBanking77, kBosAnchor, 0.85); }
TEST_F(RealData, TrecSixteenIsolatedDemonstrations) { expect_near(kTrec, {}, 0.81); }
TEST_F(RealData, TrecBehindABosAnchor) { expect_near(kTrec, kBosAnchor, 0.83); }

// 800 demonstrations in blocks of 50 under the paper's mask, 30 % of them by BM25; answered in one
// go, and again by a second pipeline from the pool's manifest.
TEST_F(RealData, BlockSparseRunEqualsEncodeThenQuery) {
  const PipelineHarness::Overrides settings = {
      {"data.demonstration_count", "800"}, {"block_grouper.block_size", "50"},
      {"mask_pattern.plugin", "\"dbsa\""}, {"retriever.text", "\"demonstration\""},
      {"selection.ratio", "0.3"},          {"selection.order", "\"index\""},
  };
  auto text = pipeline_text(kBanking77, workspace_.path("store"));
  text.erase(text.find("count = 16\n"), std::string("count = 16\n").size());
  const std::string file = workspace_.write("blocks.toml", text);
  auto first = PipelineHarness::open(file, settings);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto report = (*first)->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.blocks, 16);
  EXPECT_EQ(report->blocks_encoded, 16);
  const Outcome run = answer_all((*first)->pipeline());
  std::cout << "banking77 in blocks: accuracy " << run.scores.accuracy << "\n";
  // Chance is 1 in 77.
  EXPECT_GT(run.scores.accuracy, 0.05);

  auto second = PipelineHarness::open(file, settings);
  ASSERT_TRUE(second.ok()) << second.error().message;
  const Status opened = (*second)->pipeline().open_pool();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const Outcome queried = answer_all((*second)->pipeline());
  EXPECT_EQ(queried.labels, run.labels);
  EXPECT_EQ(queried.log_probabilities, run.log_probabilities);

  auto third = PipelineHarness::open(file, settings);
  ASSERT_TRUE(third.ok());
  const auto again = (*third)->pipeline().encode(false, {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->blocks_encoded, 0);
  EXPECT_TRUE(again->index_reused);
}

}  // namespace
}  // namespace dbsa
