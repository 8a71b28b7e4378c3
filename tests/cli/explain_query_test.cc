// explain --query: the answer of `query`, and all that it came of.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ExplainQueryTest : public CliTest {
 protected:
  void SetUp() override {
    pipeline_ = make_pipeline();
    ASSERT_EQ(cli({"encode", pipeline_, "--quiet"}).exit_code, 0);
  }
  json explain(const Words& more = {}) const {
    Words words = {"explain", pipeline_, "--query", "card lost late", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(result.error, "");
    json out = json::parse(result.out);
    EXPECT_EQ(schema_faults("explanation.schema.json", out), "");
    return out;
  }
  std::string pipeline_;
};

// The log-probabilities of a token each, whose sum is the label's.
double token_sum(const json& label) {
  double sum = 0;
  for (const json& token : label.at("tokens")) sum += token.at("log_probability").get<double>();
  return sum;
}

TEST_F(ExplainQueryTest, IsTheAnswerOfQueryBitForBit) {
  for (const char* method : {"trie", "greedy_trie", "likelihood", "free", "vote"}) {
    SCOPED_TRACE(method);
    const Words set = {"--set", std::string("decoding.method=") + method};
    json explained = explain({set[0], set[1]});
    const ProcessResult result =
        cli({"query", pipeline_, "card lost late", "--json", set[0], set[1]});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    json answer = json::parse(result.out);
    const json& decoding = explained.at("decoding");
    EXPECT_EQ(decoding.at("method"), method);
    const json& best = decoding.at("labels")[0];
    EXPECT_EQ(best.at("log_probability"), answer.at("log_probability"));
    EXPECT_EQ(best.at("label"), answer.at("label"));
    if (method == std::string("vote"))
      EXPECT_EQ(best.at("tokens"), json::array());
    else
      EXPECT_EQ(token_sum(best), best.at(method == std::string("likelihood") ? "log_likelihood"
                                                                             : "log_probability"));
    EXPECT_EQ(decoding.at("labels").size(), method == std::string("free") ? 1u : 4u);
    for (const char* key : {"seconds", "schema", "schema_version"}) answer.erase(key);
    explained.at("answer").erase("seconds");
    EXPECT_EQ(explained.at("answer"), answer);
    EXPECT_EQ(explained.at("without"), nullptr);
  }
}

TEST_F(ExplainQueryTest, ShowsThePromptAsTextAndTokens) {
  const json out = explain();
  const json& answer = out.at("answer");
  const json& prompt = out.at("prompt");
  ASSERT_EQ(prompt.size(), answer.at("blocks").size() + 1);
  int64_t position = 0;
  for (size_t i = 0; i < prompt.size(); ++i) {
    const json& part = prompt[i];
    EXPECT_EQ(part.at("start"), position) << "contiguous";
    position += static_cast<int64_t>(part.at("tokens").size());
    std::string text;
    for (const json& token : part.at("tokens")) {
      text += token.at("text").get<std::string>();
      EXPECT_EQ(token.at("special"), false);
    }
    EXPECT_EQ(part.at("text"), text) << "the tokens' texts put together";
    if (i + 1 == prompt.size()) {
      EXPECT_EQ(part.at("block"), nullptr);
      EXPECT_EQ(text, "query: card lost late\nintent:");
      EXPECT_EQ(part.at("tokens").size(), answer.at("tokens").at("query"));
      break;
    }
    const json& block = out.at("blocks")[i];
    EXPECT_EQ(part.at("block"), block.at("block"));
    EXPECT_EQ(part.at("tokens").size(), block.at("tokens"));
    // What the file says of the demonstrations stands in the block, in their order.
    std::string expected;
    for (const json& one : block.at("demonstrations"))
      expected += "query: " + one.at("text").get<std::string>() +
                  "\nintent: " + one.at("label").get<std::string>() + "\n==\n";
    EXPECT_EQ(text, expected);
  }
  EXPECT_EQ(explain({"--set", "decoding.method=vote"}).at("prompt"), json::array());
}

// A special token is marked; text that looks like one is text.
TEST_F(ExplainQueryTest, MarksSpecialTokens) {
  const std::string bos = "<|begin_of_text|>";  // of dbsa-make-checkpoint
  const Words set = {"--set", "prompt.bos=true", "--set", "prompt.anchor=prefix"};
  Words encode = {"encode", pipeline_, "--quiet"};
  encode.insert(encode.end(), set.begin(), set.end());
  ASSERT_EQ(cli(encode).exit_code, 0);
  Words words = {"explain", pipeline_, "--query", "card " + bos, "--json"};
  words.insert(words.end(), set.begin(), set.end());
  const ProcessResult result = cli(words);
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const json out = json::parse(result.out);
  const json& head = out.at("prompt")[0];
  EXPECT_EQ(head.at("tokens")[0].at("text"), bos);
  EXPECT_EQ(head.at("tokens")[0].at("special"), true);
  EXPECT_EQ(out.at("blocks")[0].at("demonstrations"), json::array());
  EXPECT_EQ(out.at("prompt").back().at("text"), "query: card " + bos + "\nintent:");
  for (const json& token : out.at("prompt").back().at("tokens"))
    EXPECT_EQ(token.at("special"), false);
  words.erase(words.begin() + 4);
  words.emplace_back("--prompt");
  EXPECT_THAT(cli(words).out, HasSubstr("       0  256  \"" + bos + "\"  special\n"));
}

TEST_F(ExplainQueryTest, RanksAndWordsExplainTheScores) {
  const json out = explain();
  EXPECT_EQ(out.at("retrieval").at("plugin"), "bm25");
  EXPECT_EQ(out.at("retrieval").at("unit"), "block");
  EXPECT_EQ(out.at("retrieval").at("demonstrations"), nullptr);
  const json& ranking = out.at("retrieval").at("blocks");
  std::set<int64_t> chosen;
  for (size_t i = 0; i < out.at("blocks").size(); ++i) {
    const json& block = out.at("blocks")[i];
    chosen.insert(block.at("block").get<int64_t>());
    // The answer has no score of an anchor that is not among the best.
    const json& told = out.at("answer").at("blocks")[i];
    EXPECT_EQ(told.at("key"), block.at("key"));
    if (!told.at("score").is_null()) {
      EXPECT_EQ(told.at("score"), block.at("score"));
    }
    if (block.at("score").is_null()) continue;
    double sum = 0;
    for (const json& word : block.at("shared_words")) sum += word.at("score").get<double>();
    EXPECT_EQ(sum, block.at("score"));
    const json& ranked = ranking[block.at("rank").get<size_t>() - 1];
    EXPECT_EQ(ranked.at("block"), block.at("block"));
    EXPECT_EQ(ranked.at("score"), block.at("score"));
    int64_t demonstrations = 0;
    for (const json& label : block.at("labels"))
      demonstrations += label.at("demonstrations").get<int64_t>();
    EXPECT_EQ(demonstrations, 4);
  }
  for (const json& ranked : ranking)
    EXPECT_EQ(ranked.at("in_prompt"), chosen.contains(ranked.at("block").get<int64_t>()));
}

TEST_F(ExplainQueryTest, DemonstrationsThatAreRankedHaveTheirOwnWords) {
  // Only the inputs are indexed, without the words that stand in every prompt.
  const Words set = {"--set", "retriever.unit=demonstration", "--set", "retriever.text=text"};
  ASSERT_EQ(cli({"encode", pipeline_, "--quiet", set[0], set[1], set[2], set[3]}).exit_code, 0);
  const json out = explain(set);
  const json& all = out.at("retrieval").at("demonstrations");
  int ranked = 0;
  for (const json& block : out.at("blocks")) {
    EXPECT_EQ(block.at("shared_words"), nullptr);
    for (const json& one : block.at("demonstrations")) {
      if (one.at("rank").is_null()) continue;
      ++ranked;
      const json& place = all[one.at("rank").get<size_t>() - 1];
      EXPECT_EQ(place.at("demonstration"), one.at("demonstration"));
      EXPECT_EQ(place.at("score"), one.at("score"));
      double sum = 0;
      for (const json& word : one.at("shared_words")) {
        sum += word.at("score").get<double>();
        EXPECT_THAT(one.at("text").get<std::string>(),
                    HasSubstr(word.at("word").get<std::string>()));
      }
      EXPECT_EQ(sum, one.at("score"));
    }
  }
  EXPECT_GT(ranked, 0);
}

TEST_F(ExplainQueryTest, WithoutEachBlock) {
  const json out = explain({"--without-each"});
  ASSERT_EQ(out.at("without").size(), out.at("blocks").size());
  for (size_t i = 0; i < out.at("without").size(); ++i) {
    const json& without = out.at("without")[i];
    EXPECT_EQ(without.at("block"), out.at("blocks")[i].at("block"));
    EXPECT_LE(without.at("log_probability"), without.at("label_log_probability"));
    EXPECT_NE(without.at("log_probability"), out.at("answer").at("log_probability"));
  }
  const ProcessResult words =
      cli({"explain", pipeline_, "--query", "card lost late", "--without-each"});
  EXPECT_THAT(words.out, HasSubstr("\nwithout each block; with all of them "));
}

TEST_F(ExplainQueryTest, IsReadByPeople) {
  const ProcessResult result = cli({"explain", pipeline_, "--query", "card lost late"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.error, "");
  for (const char* part :
       {"query      \"card lost late\"\nlabel      ", "\nrunner-up  ", "\npool       ",
        ": 6 blocks\n\nblocks, as they stand in the prompt; best ranked by bm25\n",
        "\nwords that the query shares with them, as bm25 has them\n",
        "\nall blocks that bm25 ranks\n", "\nprompt: the query, which ends it\n",
        "query: card lost late\nintent:\n",
        "\n--prompt shows the text and the tokens of the 3 blocks before it, too\n",
        "\nlabels, by decoding.method = \"trie\"\n", "beta two"})
    EXPECT_THAT(result.out, HasSubstr(part));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("prompt: block")));
  const json out = explain();
  for (const json& block : out.at("blocks"))
    EXPECT_THAT(result.out, HasSubstr(block.at("key").get<std::string>()));
  const ProcessResult whole = cli({"explain", pipeline_, "--query", "card lost late", "--prompt"});
  EXPECT_THAT(whole.out, HasSubstr("\nprompt: block 0\nquery: "));
}

TEST_F(ExplainQueryTest, LinesAreLeftOutWhereTheFileHasChanged) {
  workspace_.write("pool.jsonl",
                   workspace_.read("pool.jsonl") + "{\"text\": \"more\", \"label\": \"alpha\"}\n");
  const Words words = {"explain", pipeline_, "--query", "card", "--json"};
  ProcessResult result = cli(words);
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.error, "warning: " + path("pool.jsonl") +
                              " has changed since the pool was encoded; lines and texts of "
                              "demonstrations are left out\n");
  const json one = json::parse(result.out).at("blocks")[0].at("demonstrations")[0];
  EXPECT_EQ(one.at("line"), nullptr);
  EXPECT_EQ(one.at("text"), nullptr);
  EXPECT_TRUE(one.at("label").is_string());
  std::filesystem::remove(path("pool.jsonl"));
  result = cli(words);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error,
              testing::StartsWith("warning: " + path("pool.jsonl") + " cannot be read: "));
}

TEST_F(ExplainQueryTest, WhatItCannotExplainIsNamed) {
  const auto failure = [&](Words words) {
    words.insert(words.begin(), {"explain", pipeline_});
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    return result.error;
  };
  EXPECT_EQ(failure({"--query", " "}),
            "error: --query is empty or white space; give the text to label\n");
  EXPECT_EQ(failure({"--without-each"}),
            "error: --without-each: needs --query, the text to explain\n");
  EXPECT_EQ(failure({"--prompt"}), "error: --prompt: needs --query, the text to explain\n");
  EXPECT_EQ(failure({"--query", "card", "--mask", path("mask.svg")}),
            "error: --mask: shows a pipeline, not a query; leave out --query\n");
  EXPECT_THAT(failure({"--query", "card", "--set", "block_grouper.block_size=3"}),
              HasSubstr("run `dbsa-pipe encode` first\n"));
}

}  // namespace
}  // namespace dbsa
