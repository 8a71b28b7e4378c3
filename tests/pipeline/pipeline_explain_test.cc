// Pipeline::explain: the answer's own bits, and answers without a block against pools that never
// show it.
#include "pipeline/explanation.h"

#include <cmath>
#include <map>
#include <numeric>

#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

const char* const kMethods[] = {"trie", "greedy_trie", "likelihood", "free", "vote"};

class ExplainTest : public PipelineTest {
 protected:
  static PipelineHarness::Overrides with(const std::string& method,
                                         PipelineHarness::Overrides more = {}) {
    more.push_back({"decoding.method", "\"" + method + "\""});
    more.push_back({"decoding.max_tokens", "6"});
    return more;
  }

  // More labels than the demonstrations have, so that walks are not exhaustive.
  PipelineHarness::Overrides with_many_labels(const std::string& method) const {
    std::string lines;
    for (int i = 0; i < 300; ++i)
      lines += nlohmann::json{{"label", "topic " + std::to_string(i * 7)}}.dump() + "\n";
    workspace_.write("labels.jsonl", lines);
    return with(method, {{"data.labels", "\"labels.jsonl\""}});
  }

  static Explanation explain(Pipeline& pipeline, const std::string& text,
                             bool without_each = false) {
    auto explained = pipeline.explain(text, without_each);
    if (!explained.ok()) throw std::runtime_error(explained.error().message);
    return *std::move(explained);
  }
  static Answer answer(Pipeline& pipeline, const std::string& text) {
    auto answered = pipeline.answer(text);
    if (!answered.ok()) throw std::runtime_error(answered.error().message);
    return *std::move(answered);
  }
};

void expect_same(const Answer& a, const Answer& b) {
  EXPECT_EQ(a.label.text, b.label.text);
  EXPECT_EQ(a.label.log_probability, b.label.log_probability);
  ASSERT_EQ(a.runner_up.has_value(), b.runner_up.has_value());
  if (a.runner_up) {
    EXPECT_EQ(a.runner_up->text, b.runner_up->text);
    EXPECT_EQ(a.runner_up->log_probability, b.runner_up->log_probability);
  }
  EXPECT_EQ(a.label_log_probabilities, b.label_log_probabilities);
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (size_t i = 0; i < a.blocks.size(); ++i) {
    EXPECT_EQ(a.blocks[i].block, b.blocks[i].block);
    EXPECT_EQ(a.blocks[i].score, b.blocks[i].score);
    EXPECT_EQ(a.blocks[i].start, b.blocks[i].start);
    EXPECT_EQ(a.blocks[i].tokens, b.blocks[i].tokens);
  }
  EXPECT_EQ(a.kv_loaded.bytes, b.kv_loaded.bytes);
  EXPECT_EQ(a.query_tokens, b.query_tokens);
  EXPECT_EQ(a.selected_tokens, b.selected_tokens);
}

double sum_of(const LabelReading& reading) {
  double sum = 0;
  for (const ReadToken& token : reading.tokens) sum += token.log_probability.value();
  return sum;
}

const LabelReading& reading_of(const Explanation& explained, const Pool& pool,
                               const std::string& label) {
  for (size_t i = 0; i < pool.labels.size(); ++i)
    if (pool.labels[i].text == label) return explained.labels.at(i);
  throw std::runtime_error("no label " + label);
}

TEST_F(ExplainTest, IsTheAnswerBitForBit) {
  for (const char* method : kMethods) {
    SCOPED_TRACE(method);
    auto harness = open(with_many_labels(method));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    for (const char* text : {"something about topic 1", "question c", "q"}) {
      const Answer plain = answer(harness->pipeline(), text);
      const Explanation explained = explain(harness->pipeline(), text);
      expect_same(explained.answer, plain);
      expect_same(answer(harness->pipeline(), text), plain);
      EXPECT_TRUE(explained.without.empty());
      const Pool& pool = harness->pipeline().pool();
      if (method == std::string("free")) {
        ASSERT_EQ(explained.labels.size(), 1u);
        EXPECT_EQ(sum_of(explained.labels[0]), plain.label.log_probability);
        continue;
      }
      ASSERT_EQ(explained.labels.size(), pool.labels.size());
      const LabelReading& best = reading_of(explained, pool, plain.label.text);
      const LabelReading& second = reading_of(explained, pool, plain.runner_up.value().text);
      EXPECT_EQ(best.log_probability, plain.label.log_probability);
      EXPECT_EQ(second.log_probability, plain.runner_up->log_probability);
      for (const LabelReading& reading : explained.labels) {
        if (reading.votes == 0) continue;
        if (!reading.log_probability) {
          EXPECT_LE(reading.at_most, 0);
          continue;
        }
        EXPECT_EQ(reading.at_most, *reading.log_probability);
        if (method == std::string("trie")) {
          EXPECT_LE(*reading.log_probability, plain.label.log_probability);
        }
        if (!reading.votes) {
          EXPECT_EQ(sum_of(reading),
                    reading.log_likelihood ? *reading.log_likelihood : *reading.log_probability);
        }
      }
    }
  }
}

// Readings have the probabilities of the answer, and the tokens' own log-probabilities.
TEST_F(ExplainTest, IsTheAnswerAfterScorerAndTemperature) {
  const std::pair<std::string, PipelineHarness::Overrides> cases[] = {
      {"likelihood", {{"decoding.scorer", "\"pmi\""}, {"decoding.temperature", "2.0"}}},
      {"likelihood", {{"decoding.scorer", "\"per_token\""}}},
      {"trie", {{"decoding.temperature", "2.0"}}}};
  for (const auto& [method, more] : cases) {
    SCOPED_TRACE(method + " " + more.front().second);
    PipelineHarness::Overrides settings = with_many_labels(method);
    settings.insert(settings.end(), more.begin(), more.end());
    auto harness = open(settings);
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Answer plain = answer(harness->pipeline(), "question c");
    const Explanation explained = explain(harness->pipeline(), "question c", true);
    expect_same(explained.answer, plain);
    const Pool& pool = harness->pipeline().pool();
    ASSERT_EQ(explained.labels.size(), pool.labels.size());
    EXPECT_EQ(reading_of(explained, pool, plain.label.text).log_probability,
              plain.label.log_probability);
    EXPECT_EQ(reading_of(explained, pool, plain.runner_up.value().text).log_probability,
              plain.runner_up->log_probability);
    double all = 0, by_tokens = 0;
    for (const LabelReading& reading : explained.labels) {
      all += std::exp(reading.log_probability.value());
      if (reading.log_likelihood) {
        EXPECT_EQ(sum_of(reading), *reading.log_likelihood);
      } else {
        by_tokens += std::exp(sum_of(reading));
      }
    }
    EXPECT_NEAR(all, 1, 1e-9);
    if (method == "trie") {
      EXPECT_NEAR(by_tokens, 1, 1e-9);
    }
    EXPECT_FALSE(explained.without.empty());
    for (const WithoutBlock& without : explained.without)
      EXPECT_LE(without.log_probability.value(), 0);
  }
}

// A walk leaves most labels unread; nothing is made up for them.
TEST_F(ExplainTest, AWalkSaysWhatItDidNotLookAt) {
  std::map<std::string, int64_t> unread;
  for (const char* method : {"trie", "greedy_trie", "likelihood"}) {
    auto harness = open(with_many_labels(method));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    double known = 0;
    for (const LabelReading& reading : explain(harness->pipeline(), "question c").labels) {
      unread[method] += reading.log_probability ? 0 : 1;
      if (reading.log_probability) known += std::exp(*reading.log_probability);
    }
    EXPECT_LE(known, 1 + 1e-9) << method;
    if (unread[method] == 0) {
      EXPECT_NEAR(known, 1, 1e-9) << method;
    }
  }
  EXPECT_GT(unread["trie"], 0);
  EXPECT_GT(unread["greedy_trie"], unread["trie"]);
  EXPECT_EQ(unread["likelihood"], 0);
}

TEST_F(ExplainTest, RanksAllBlocksAndKeepsTheChosenScores) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Explanation explained = explain(harness->pipeline(), "something about topic 1");
  EXPECT_EQ(explained.ranking.documents, explained.ranking.blocks);
  EXPECT_EQ(explained.ranking.blocks.size(), static_cast<size_t>(kBlocks));
  std::map<int64_t, double> scores;
  for (const Hit& hit : explained.ranking.blocks) scores[hit.id] = hit.score;
  ASSERT_TRUE(explained.words.has_value());
  ASSERT_EQ(explained.kv_loaded.size(), explained.answer.blocks.size());
  uint64_t loaded = 0;
  for (size_t i = 0; i < explained.answer.blocks.size(); ++i) {
    const AnswerBlock& block = explained.answer.blocks[i];
    loaded += explained.kv_loaded[i].bytes;
    if (!block.score) continue;
    EXPECT_EQ(*block.score, scores.at(block.block));
    double sum = 0;
    for (const SharedWord& word : explained.words->at(block.block)) sum += word.score;
    EXPECT_EQ(sum, *block.score) << "block " << block.block;
  }
  EXPECT_EQ(loaded, explained.answer.kv_loaded.bytes);
  const std::vector<int32_t> ids =
      *harness->pipeline().tokenizer().encode("query: something about topic 1\nintent:");
  EXPECT_EQ(explained.query_ids, ids);
  EXPECT_EQ(explained.query_start, explained.answer.selected_tokens);
}

TEST_F(ExplainTest, RanksDemonstrationsAndTheWordsOfEach) {
  for (const char* anchor : {"\"first_blocks\"", "\"prefix\""}) {
    const bool prefix = anchor == std::string("\"prefix\"");
    auto harness = open({{"retriever.unit", "\"demonstration\""},
                         {"prompt.anchor", anchor},
                         {"prompt.instruction", prefix ? "\"Sort:\"" : "\"\""}});
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Explanation explained = explain(harness->pipeline(), "question c about topic 2");
    EXPECT_EQ(explained.ranking.documents.size(), texts_.size());
    EXPECT_EQ(explained.ranking.blocks.size(), static_cast<size_t>(kBlocks));
    std::map<int64_t, double> scores;
    for (const Hit& hit : explained.ranking.documents) scores[hit.id] = hit.score;
    ASSERT_TRUE(explained.words.has_value());
    const Pool& pool = harness->pipeline().pool();
    size_t demonstrations = 0;
    for (const AnswerBlock& block : explained.answer.blocks)
      demonstrations += pool.blocks[static_cast<size_t>(block.block)].demonstrations.size();
    EXPECT_EQ(explained.words->size(), demonstrations);
    for (const auto& [document, words] : *explained.words) {
      double sum = 0;
      for (const SharedWord& word : words) sum += word.score;
      EXPECT_EQ(sum, scores.at(document)) << document;
    }
  }
}

TEST_F(ExplainTest, ARetrieverThatGoesByNoWordsHasNone) {
  auto harness = open({{"retriever.plugin", "\"all\""}});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Explanation explained = explain(harness->pipeline(), "question c");
  EXPECT_FALSE(explained.words.has_value());
  EXPECT_EQ(explained.ranking.blocks.size(), static_cast<size_t>(kBlocks));
}

// `all` shows the pool's first blocks, or with order = "reversed" its last ones: a block more or
// less is another count. Nothing of a block is in others under the mask `self`.
TEST_F(ExplainTest, WithoutABlockIsTheAnswerOfASelectionThatLacksIt) {
  for (const char* method : kMethods) {
    for (const bool reversed : {false, true}) {
      SCOPED_TRACE(std::string(method) + (reversed ? ", reversed" : ""));
      const auto showing = [&](const char* ratio) {
        return with(method, {{"mask_pattern.plugin", "\"self\""},
                             {"retriever.plugin", "\"all\""},
                             {"retriever.order", reversed ? "\"reversed\"" : "\"index\""},
                             {"selection.ratio", ratio}});
      };
      auto more = open(showing("0.67")), less = open(showing("0.5"));  // 4 and 3 blocks
      ASSERT_TRUE(more->pipeline().encode(false, {}).ok());
      ASSERT_TRUE(less->pipeline().open_pool().ok());
      const std::string text = "something about topic 1";
      const Explanation explained = explain(more->pipeline(), text, true);
      ASSERT_EQ(explained.without.size(), 4u);
      const WithoutBlock& without = explained.without[reversed ? 0 : 3];
      EXPECT_EQ(without.block, reversed ? 2 : 3);
      const Explanation expected = explain(less->pipeline(), text);
      EXPECT_EQ(without.label.value().text, expected.answer.label.text);
      EXPECT_EQ(without.label->log_probability, expected.answer.label.log_probability);
      if (method == std::string("free")) {
        // Of the longer prompt's tokens, which the shorter one may not write.
        EXPECT_LE(without.log_probability.value(), 0);
        if (without.label->text == explained.answer.label.text) {
          EXPECT_EQ(*without.log_probability, without.label->log_probability);
        }
        continue;
      }
      const LabelReading& reading =
          reading_of(expected, less->pipeline().pool(), explained.answer.label.text);
      if (reading.log_probability)
        EXPECT_EQ(without.log_probability, reading.log_probability);
      else
        EXPECT_LE(without.log_probability.value(), reading.at_most);
    }
  }
}

// The label that is explained is read to its end, though a walk without the block may not need it.
TEST_F(ExplainTest, WithoutABlockTheAnswersLabelIsAlwaysRead) {
  for (const char* method : {"trie", "greedy_trie"}) {
    auto harness = open(with_many_labels(method));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    int changed = 0;
    for (const char* text : {"something about topic 1", "question c", "q", "topic", "b about 2"}) {
      const Explanation explained = explain(harness->pipeline(), text, true);
      EXPECT_EQ(explained.without.size(), explained.answer.blocks.size());
      for (const WithoutBlock& without : explained.without) {
        ASSERT_TRUE(without.log_probability.has_value());
        const bool same = without.label.value().text == explained.answer.label.text;
        if (same) {
          EXPECT_EQ(*without.log_probability, without.label->log_probability);
        } else if (method == std::string("trie")) {
          EXPECT_LE(*without.log_probability, without.label->log_probability);
        }
        changed += same ? 0 : 1;
      }
    }
    std::cout << method << ": " << changed << " labels changed\n";
  }
}

TEST_F(ExplainTest, APrefixStaysAndTheLastVoteMayGo) {
  auto harness = open({{"prompt.anchor", "\"prefix\""},
                       {"prompt.instruction", "\"Sort:\""},
                       {"selection.ratio", "0.34"}});  // 2 of 6
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Explanation explained = explain(harness->pipeline(), "question c", true);
  ASSERT_EQ(explained.answer.blocks.size(), 3u);
  ASSERT_EQ(explained.without.size(), 2u);
  EXPECT_EQ(explained.without[0].block, explained.answer.blocks[1].block);

  auto vote = open(with("vote", {{"selection.ratio", "0.1"}, {"mask_pattern.plugin", "\"self\""}}));
  ASSERT_TRUE(vote->pipeline().encode(false, {}).ok());
  const Explanation voted = explain(vote->pipeline(), "question c", true);
  EXPECT_TRUE(voted.query_ids.empty());
  EXPECT_TRUE(voted.kv_loaded.empty());
  ASSERT_EQ(voted.without.size(), 1u);
  EXPECT_FALSE(voted.without[0].label.has_value());
  EXPECT_FALSE(voted.without[0].log_probability.has_value());
  int64_t votes = 0;
  for (const LabelReading& reading : voted.labels) votes += reading.votes.value();
  EXPECT_EQ(votes, kBlockSize);
}

TEST_F(ExplainTest, TheQuerysOwnErrorIsTheAnswers) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const std::string text(200000, 'a');
  const auto answered = harness->pipeline().answer(text);
  const auto explained = harness->pipeline().explain(text, true);
  ASSERT_FALSE(answered.ok());
  ASSERT_FALSE(explained.ok());
  EXPECT_EQ(explained.error().message, answered.error().message);
  EXPECT_EQ(explained.error().code, answered.error().code);
}

}  // namespace
}  // namespace dbsa
