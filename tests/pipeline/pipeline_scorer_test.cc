// decoding.scorer: each formula over the log-likelihoods that the oracle has of every label, behind
// the query and behind the texts that it is compared with.
#include <cmath>
#include <iostream>

#include "tests/pipeline/oracle_labels.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

using LabelSums = std::vector<double>;

class ScorerTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    const char* const labels[] = {"topic", "topic 1", "t\u00f3ne", "x"};
    std::string lines;
    for (size_t i = 0; i < texts_.size(); ++i)
      lines += nlohmann::json{{"text", texts_[i]}, {"label", labels[i % 4]}}.dump() + "\n";
    workspace_.write("demonstrations.jsonl", lines);
    oracle_ = std::make_unique<reference::OracleModel>(
        std::move(*reference::OracleModel::load(workspace_.path("model"))));
  }

  static PipelineHarness::Overrides scored(const std::string& scorer,
                                           PipelineHarness::Overrides more = {}) {
    for (const auto& setting : settings_of({"self", 0, 0}, false)) more.push_back(setting);
    more.push_back({"decoding.method", "\"likelihood\""});
    more.push_back({"decoding.scorer", "\"" + scorer + "\""});
    return more;
  }

  // Blocks encoded by themselves, or read again densely, laid end to end, and the query of a text
  // behind them.
  LabelSums oracle_sums(const Pool& pool, const Answer& told, const std::string& text,
                        bool dense = false) const {
    const auto tokenizer = Tokenizer::load(workspace_.path("model"));
    OraclePrompt prompt;
    for (const AnswerBlock& block : told.blocks)
      prompt.pieces.push_back(pool.blocks[static_cast<size_t>(block.block)].token_ids);
    prompt.query = *(*tokenizer)->encode("query: " + text + "\nintent:");
    prompt.piece_sees = [dense](size_t, size_t) { return dense; };
    prompt.query_sees = [](size_t) { return true; };
    LabelSums sums;
    for (const PoolLabel& label : pool.labels)
      sums.push_back(oracle_log_likelihood(*oracle_, prompt, label.tokens));
    return sums;
  }

  static LabelSums normalised(LabelSums scores) {
    double sum = 0;
    for (const double score : scores) sum += std::exp(score);
    for (double& score : scores) score -= std::log(sum);
    return scores;
  }

  // What is left of sums where those of other texts are divided by: by the likelihoods of a single
  // one, or by the mean distribution.
  static LabelSums divided(LabelSums sums, const std::vector<LabelSums>& others,
                           bool by_likelihood) {
    for (size_t i = 0; i < sums.size(); ++i) {
      double mean = 0;
      for (const LabelSums& other : others)
        mean += std::exp(normalised(other)[i]) / static_cast<double>(others.size());
      sums[i] -= by_likelihood ? others.front()[i] : std::log(mean);
    }
    return sums;
  }

  std::unique_ptr<reference::OracleModel> oracle_;
};

const char* const kScorerTexts[] = {"something about topic 1", "q"};

// Differences of two sums, each as far off as one.
constexpr double kScorerTolerance = 2 * kLabelTolerance;

TEST_F(ScorerTest, EachScorerIsItsFormulaOverTheOraclesLikelihoods) {
  struct Case {
    const char* scorer;
    std::vector<std::string> texts;  // that queries are compared with
    PipelineHarness::Overrides more;
  };
  const Case cases[] = {{"sum", {}, {}},
                        {"per_token", {}, {}},
                        {"per_byte", {}, {}},
                        {"pmi", {""}, {}},
                        {"contextual", {"", "N/A", "[MASK]"}, {}},
                        {"contextual",
                         {"nothing at all to see here"},
                         {{"decoding.content_free", "[\"nothing at all to see here\"]"}}},
                        {"contextual", {"", "N/A", "[MASK]"}, {{"selection.recompute", "true"}}},
                        {"pmi", {""}, {{"decoding.temperature", "2.5"}}}};
  for (const Case& c : cases) {
    auto harness = open(scored(c.scorer, c.more));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Pool& pool = harness->pipeline().pool();
    const bool dense = !c.more.empty() && c.more[0].first == "selection.recompute";
    const double temperature =
        !c.more.empty() && c.more[0].first == "decoding.temperature" ? 2.5 : 1;
    for (const std::string text : kScorerTexts) {
      if (kSanitized && text != kScorerTexts[0]) break;
      const auto told = harness->pipeline().answer(text);
      ASSERT_TRUE(told.ok()) << told.error().message;
      LabelSums expected = oracle_sums(pool, *told, text, dense);
      for (size_t i = 0; i < expected.size(); ++i) {
        const LabelTokens& tokens = pool.labels[i].tokens;
        if (c.scorer == std::string("per_token"))
          expected[i] /=
              static_cast<double>(tokens.ids.size() + (tokens.terminator.empty() ? 0 : 1));
        if (c.scorer == std::string("per_byte"))
          expected[i] /= static_cast<double>(pool.labels[i].text.size());
      }
      std::vector<LabelSums> others;
      for (const std::string& other : c.texts)
        others.push_back(oracle_sums(pool, *told, other, dense));
      if (!others.empty()) expected = divided(expected, others, c.scorer == std::string("pmi"));
      for (double& score : expected) score /= temperature;
      const double worst = worst_difference(told->label_log_probabilities, normalised(expected));
      std::cout << c.scorer << ": " << worst << "\n";
      EXPECT_LE(worst, kScorerTolerance) << c.scorer << " of " << text;
      double sum = 0;
      size_t best = 0;
      const LabelSums& all = told->label_log_probabilities;
      for (size_t i = 0; i < all.size(); ++i) {
        sum += std::exp(all[i]);
        if (all[i] > all[best]) best = i;
      }
      EXPECT_NEAR(sum, 1, 1e-12);
      EXPECT_EQ(told->label.text, pool.labels[best].text);
      EXPECT_EQ(told->label.log_probability, all[best]);
    }
  }
}

TEST_F(ScorerTest, BatchDividesByTheMeanOverTheHeldOut) {
  const PipelineHarness::Overrides held = {{"data.held_out", "5"}, {"data.seed", "3"}};
  auto harness = open(scored("batch", held));
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const Pool& pool = harness->pipeline().pool();
  ASSERT_TRUE(report->calibration.has_value());
  EXPECT_EQ(report->calibration->answered, 5);
  EXPECT_EQ(report->calibration->temperature, 1);
  const auto rows = read_demonstrations(harness->pipeline().settings().data);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->held_out.size(), 5u);
  // Each held-out demonstration gets its own blocks.
  auto plain = open(scored("sum", held));
  ASSERT_TRUE(plain->pipeline().encode(false, {}).ok());
  std::vector<LabelSums> others;
  for (const Example& example : rows->held_out)
    others.push_back(oracle_sums(pool, *plain->pipeline().answer(example.text), example.text));
  for (const std::string text : kScorerTexts) {
    const auto told = harness->pipeline().answer(text);
    ASSERT_TRUE(told.ok()) << told.error().message;
    const LabelSums expected = divided(oracle_sums(pool, *told, text), others, false);
    EXPECT_LE(worst_difference(told->label_log_probabilities, normalised(expected)),
              kScorerTolerance);
  }
}

// With the blocks of the last request at the same places, what references say is known.
TEST_F(ScorerTest, ReferencesAreTheSameWhetherKnownOrNot) {
  for (const char* ratio : {"1.0", "0.5"}) {
    std::vector<LabelSums> one_by_one, together;
    for (const bool fresh : {true, false}) {
      auto harness = open(scored("contextual", {{"selection.ratio", ratio}}));
      ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
      for (const char* text : {"question a", "question b", "question a", "topic 2"}) {
        if (fresh) {
          harness = open(scored("contextual", {{"selection.ratio", ratio}}));
          ASSERT_TRUE(harness->pipeline().open_pool().ok());
        }
        const auto told = harness->pipeline().answer(text);
        ASSERT_TRUE(told.ok()) << told.error().message;
        (fresh ? one_by_one : together).push_back(told->label_log_probabilities);
      }
    }
    EXPECT_EQ(one_by_one, together) << ratio;
  }
}

TEST_F(ScorerTest, AnswersTogetherAreTheSame) {
  auto harness = open(scored("contextual"));
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  EXPECT_EQ(ask_together(harness->pipeline()), ask(harness->pipeline()));
}

TEST_F(ScorerTest, AContentFreeTextThatDoesNotFitIsTheRequestsError) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "word ";
  auto harness = open(scored("contextual", {{"decoding.content_free", "[\"" + text + "\"]"},
                                            {"model.max_positions", "1000"}}));
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const auto told = harness->pipeline().answer("q");
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().code, ErrorCode::kConfig);
  EXPECT_NE(told.error().message.find("that decoding.scorer compares with: expected a prompt of at "
                                      "most "),
            std::string::npos)
      << told.error().message;
}

TEST_F(ScorerTest, WhatDoesNotGoTogetherIsRefusedByName) {
  const struct {
    const char* lines;  // of the file, from line 23 on
    const char* expected;
  } cases[] = {
      {"[decoding]\nscorer = \"pmi\"\n",
       ":24:1: decoding.scorer: \"pmi\" needs the likelihood of every label, which method = "
       "\"trie\" does not have; write method = \"likelihood\", or leave scorer out"},
      {"[decoding]\nmethod = \"vote\"\nscorer = \"per_byte\"\n",
       ":25:1: decoding.scorer: \"per_byte\" needs the likelihood of every label, which method = "
       "\"vote\" does not have; write method = \"likelihood\", or leave scorer out"},
      {"[decoding]\nmethod = \"likelihood\"\nscorer = \"contextual\"\ncontent_free = []\n",
       ":26:1: decoding.content_free: scorer = \"contextual\" needs at least one text, got none; "
       "leave the key out for \"\", \"N/A\" and \"[MASK]\""},
      {"[decoding]\nmethod = \"likelihood\"\nscorer = \"batch\"\n",
       ":25:1: decoding.scorer: \"batch\" divides by the mean over held-out demonstrations, and "
       "none are held out; write e.g. data.held_out = 100"},
      {"[decoding]\nmethod = \"free\"\ntemperature = 2.0\n",
       ":25:1: decoding.temperature: method = \"free\" has no temperature; write method = "
       "\"trie\" or \"likelihood\", or leave temperature out"},
      {"[decoding]\nfit_temperature = true\n",
       ":24:1: decoding.fit_temperature: is fitted on held-out demonstrations, and none are held "
       "out; write e.g. data.held_out = 100"},
      {"[decoding]\nfit_temperature = true\ntemperature = 2.0\n",
       ":24:1: decoding.fit_temperature: decoding.temperature = 2.0 is given, too; leave one of "
       "them out"},
      {"[decoding]\nfit_confidence = true\n",
       ":24:1: decoding.fit_confidence: is fitted on held-out demonstrations, and none are held "
       "out; write e.g. data.held_out = 100"},
      {"[decoding]\nmethod = \"vote\"\nfit_confidence = true\n",
       ":25:1: decoding.fit_confidence: method = \"vote\" has no probabilities of all labels; "
       "write "
       "method = \"trie\" or \"likelihood\", or leave fit_confidence out"},
      {"[decoding]\nmethod = \"free\"\nabstain_below = 0.5\n",
       ":25:1: decoding.abstain_below: with method = \"free\" the probability is that of one "
       "wording of an answer among all texts; write another method, or leave abstain_below out"},
  };
  const std::string text = workspace_.read("pipeline.toml");
  for (const auto& c : cases) {
    const std::string file = workspace_.write("refused.toml", text + c.lines);
    const auto refused = PipelineHarness::open(file);
    ASSERT_FALSE(refused.ok()) << c.lines;
    EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
    EXPECT_EQ(refused.error().message, file + c.expected);
  }
}

}  // namespace
}  // namespace dbsa
