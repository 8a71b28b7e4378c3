// Plugins that are made of others, and what a record keeps of the ways to decide on a label.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class InnerPluginTest : public CliTest {
 protected:
  json run(const std::string& tables) {
    const std::string pipeline = make_pipeline();
    edit_pipeline("[selection]", tables + "\n[selection]");
    const ProcessResult result = cli({"run", pipeline, "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return only_record();
  }
};

TEST_F(InnerPluginTest, ThePrintedTableIsOneThatAPipelineTakes) {
  const std::string pipeline = make_pipeline();
  const ProcessResult table = cli({"inspect", "hybrid", "--config"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.out, HasSubstr("\n[retriever.first]\nplugin = \"bm25\"\n"));
  edit_pipeline("[selection]", table.out + "\n[selection]");
  const ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  const ProcessResult shown = cli({"inspect", "hybrid"});
  EXPECT_THAT(shown.out, testing::ContainsRegex("first +retriever +required"));
}

TEST_F(InnerPluginTest, ARecordNamesTheInnerPlugins) {
  const json record =
      run("[retriever]\nplugin = \"hybrid\"\n[retriever.first]\nplugin = \"bm25\"\n"
          "[retriever.second]\nplugin = \"random\"\n");
  std::vector<std::string> named;
  for (const json& plugin : record.at("plugins"))
    named.push_back(plugin.at("stage").get<std::string>() + " " +
                    plugin.at("id").get<std::string>());
  for (const char* expected :
       {"retriever dbsa.retriever.hybrid", "retriever.first dbsa.retriever.bm25",
        "retriever.second dbsa.retriever.random"})
    EXPECT_THAT(named, testing::Contains(expected));
}

TEST_F(InnerPluginTest, ARecordOfLikelihoodsHasThemAll) {
  const json record = run("[decoding]\nmethod = \"likelihood\"\n");
  for (const json& query : record.at("queries")) {
    double sum = 0;
    for (const json& score : query.at("label_log_probabilities"))
      sum += std::exp(score.get<double>());
    EXPECT_EQ(query.at("label_log_probabilities").size(), 4u);
    EXPECT_NEAR(sum, 1, 1e-6) << "scores have six decimals";
  }
}

TEST_F(InnerPluginTest, AQuerysLikelihoodsHaveNames) {
  const json record = run("[decoding]\nmethod = \"likelihood\"\n");
  const ProcessResult result = cli({"query", path("pipeline.toml"), "card late", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const json scores = json::parse(result.out).at("label_log_probabilities");
  ASSERT_TRUE(scores.is_object());
  std::vector<std::string> names;
  double sum = 0;
  for (const auto& [name, score] : scores.items()) {
    names.push_back(name);
    sum += std::exp(score.get<double>());
  }
  EXPECT_EQ(names, record.at("encode").at("label_names").get<std::vector<std::string>>());
  EXPECT_NEAR(sum, 1, 1e-6);
  const json answer = json::parse(result.out);
  EXPECT_NEAR(scores.at(answer.at("label").get<std::string>()).get<double>(),
              answer.at("log_probability").get<double>(), 1e-6);
}

TEST_F(InnerPluginTest, ARecordOfAVoteHasNothingThatIsComputed) {
  const json record = run("[decoding]\nmethod = \"vote\"\n");
  for (const json& query : record.at("queries")) {
    EXPECT_LE(query.at("log_probability").get<double>(), 0);
    EXPECT_EQ(query.at("tokens").at("query"), 0);
    EXPECT_EQ(query.at("label_log_probabilities"), nullptr);
  }
}

}  // namespace
}  // namespace dbsa
