// What is used again, and what is not, when a part that results depend on has changed: the cases
// that need the whole program. tests/pipeline/identity_test.cc has every key, input and revision.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

class ReuseTest : public CliTest {
 protected:
  void SetUp() override { make_pipeline(); }

  // Another build of the same revision, as far as the program can tell: another file.
  std::string rebuilt(const std::vector<std::string>& plugins) const {
    fs::create_directories(path("rebuilt"));
    for (const std::string& plugin : plugins) {
      for (const char* end : {".so", ".plugin.toml"})
        fs::copy_file(fs::path(DBSA_PLUGIN_DIR) / (plugin + end), path("rebuilt/" + plugin + end),
                      fs::copy_options::overwrite_existing);
      std::ofstream(path("rebuilt/" + plugin + ".so"), std::ios::app) << "another build";
    }
    return path("rebuilt");
  }

  static std::string library_hash(const json& record, const std::string& stage) {
    for (const json& plugin : record.at("plugins"))
      if (plugin.at("stage") == stage) return plugin.at("library_hash");
    return "";
  }
};

TEST_F(ReuseTest, ARebuiltLibraryMakesItsIndexAgainAndKeepsBlocksAndRecords) {
  const json first = run();
  EXPECT_GT(first.at("encode").at("blocks_encoded"), 0);
  EXPECT_TRUE(run().at("encode").at("index_reused"));
  const std::string folder =
      rebuilt({"dbsa_retriever_bm25", "dbsa_block_grouper_random", "dbsa_attention_backend_cpu"});
  const json second = run({"--plugin-path", folder});
  EXPECT_EQ(second.at("encode").at("blocks_encoded"), 0);
  EXPECT_FALSE(second.at("encode").at("index_reused"));
  EXPECT_EQ(second.at("encode").at("pool_id"), first.at("encode").at("pool_id"));
  EXPECT_THAT(second.at("said").get<std::string>(),
              HasSubstr("its blocks were grouped by another build of dbsa.block_grouper.random ("));
  EXPECT_THAT(second.at("said").get<std::string>(), HasSubstr("--regroup groups them again"));
  EXPECT_EQ(second.at("identity"), first.at("identity"));
  EXPECT_NE(library_hash(second, "retriever"), library_hash(first, "retriever"));
  // The index is the other build's now.
  const ProcessResult query = cli({"query", path("pipeline.toml"), "card"});
  EXPECT_EQ(query.exit_code, 2);
  EXPECT_THAT(query.error, HasSubstr("its retriever index was made differently (library: "));
  EXPECT_THAT(query.error, HasSubstr("run `dbsa-pipe encode` again"));
  // A report takes both for one group and names both hashes.
  const ProcessResult report = cli({"report", path("runs"), "--json", "--no-plots"});
  ASSERT_EQ(report.exit_code, 0) << report.error;
  EXPECT_EQ(json::parse(report.out).at("studies")[0].at("groups").size(), 1u);
  for (const json& record : {first, second})
    EXPECT_THAT(report.out, HasSubstr(library_hash(record, "retriever").substr(0, 4) + "."));
  // A repeated run says that the library is another.
  workspace_.write("record.json", first.dump());
  const ProcessResult again =
      cli({"run", "--record", path("record.json"), "--plugin-path", folder, "--output", path("x")});
  EXPECT_EQ(again.exit_code, 0) << again.error;
  EXPECT_THAT(again.error, HasSubstr("dbsa.retriever.bm25 is another build of its revision "));
}

TEST_F(ReuseTest, BlocksOfAnotherCodePathAreEncodedAgain) {
  const Words portable = {"--set", "attention_backend.instructions=portable"};
  const json first = run(portable);
  const int64_t blocks = first.at("encode").at("blocks");
  EXPECT_EQ(first.at("encode").at("blocks_encoded"), blocks);
  const ProcessResult query = cli({"query", path("pipeline.toml"), "card"});
  if (query.exit_code == 0) GTEST_SKIP() << "this processor has the portable path only";
  EXPECT_EQ(query.exit_code, 2);
  EXPECT_THAT(query.error,
              HasSubstr("its blocks were computed differently (code path: \"portable"));
  EXPECT_THAT(query.error, HasSubstr("attention_backend.instructions = \"avx2\""));
  EXPECT_THAT(query.error, HasSubstr("or run `dbsa-pipe encode` again"));
  const json second = run();
  EXPECT_EQ(second.at("encode").at("pool_id"), first.at("encode").at("pool_id"));
  EXPECT_EQ(second.at("encode").at("blocks_encoded"), blocks);
  EXPECT_THAT(second.at("said").get<std::string>(), HasSubstr("its blocks are encoded again"));
  EXPECT_EQ(run(portable).at("encode").at("blocks_encoded"), 0) << "they are still in the store";
  EXPECT_EQ(second.at("identity").at("group"), first.at("identity").at("group"));
}

TEST_F(ReuseTest, DecodingAndSelectionAreInNoPool) {
  const json first = run();
  for (const char* change :
       {"decoding.method=likelihood", "decoding.method=vote", "decoding.method=free",
        "selection.ratio=0.9", "selection.order=reversed", "data.query_count=2"}) {
    const json changed = run({"--set", change});
    EXPECT_EQ(changed.at("encode").at("pool_id"), first.at("encode").at("pool_id")) << change;
    EXPECT_EQ(changed.at("encode").at("blocks_encoded"), 0) << change;
    EXPECT_TRUE(changed.at("encode").at("index_reused")) << change;
    EXPECT_NE(changed.at("identity").at("group"), first.at("identity").at("group")) << change;
  }
}

TEST_F(ReuseTest, DrawsOfOneFileAreOneGroup) {
  std::set<std::string> groups, draws, runs;
  for (const char* seed : {"1", "2", "3"}) {
    const json record =
        run({"--set", "data.demonstration_count=12", "--set", std::string("data.seed=") + seed});
    groups.insert(record.at("identity").at("group"));
    draws.insert(record.at("identity").at("draw"));
    runs.insert(record.at("identity").at("run"));
  }
  EXPECT_EQ(groups.size(), 1u);
  EXPECT_EQ(draws.size(), 3u);
  EXPECT_EQ(runs.size(), 3u);
  const json report = json::parse(cli({"report", path("runs"), "--json", "--no-plots"}).out);
  ASSERT_EQ(report.at("studies")[0].at("groups").size(), 1u);
}

// Which demonstrations stand together is part of what answers depend on.
TEST_F(ReuseTest, BlocksThatWereKeptThroughAnEditAreAnotherDraw) {
  const std::string pool = workspace_.read("pool.jsonl");
  const size_t half = pool.find('\n', pool.size() / 2) + 1;
  workspace_.write("pool.jsonl", pool.substr(half));
  EXPECT_TRUE(run().at("encode").at("dealt_at_once"));
  workspace_.write("pool.jsonl", pool);
  fs::remove_all(path("runs"));
  const json grown = run();
  EXPECT_FALSE(grown.at("encode").at("dealt_at_once"));
  EXPECT_THAT(grown.at("said").get<std::string>(),
              HasSubstr(": the demonstrations have changed since they were dealt into blocks"));
  const json fresh = run({"--set", "kv_store.path=" + path("other")});
  EXPECT_TRUE(fresh.at("encode").at("dealt_at_once"));
  EXPECT_NE(grown.at("encode").at("assignment"), fresh.at("encode").at("assignment"));
  EXPECT_EQ(grown.at("identity").at("run"), fresh.at("identity").at("run"));
  EXPECT_NE(grown.at("identity").at("draw"), fresh.at("identity").at("draw"));
  const json report = json::parse(cli({"report", path("runs"), "--json", "--no-plots"}).out);
  ASSERT_EQ(report.at("studies")[0].at("groups").size(), 1u);
  EXPECT_EQ(report.at("studies")[0].at("groups")[0].at("accuracy").at("count"), 2);

  workspace_.write("fresh.json", fresh.dump());
  const Words again = {"run",
                       "--record",
                       path("fresh.json"),
                       "--output",
                       path("x"),
                       "--set",
                       "kv_store.path=" + path("store")};
  EXPECT_THAT(cli(again).error, HasSubstr("its blocks hold other demonstrations (draw: "));
  json record = fresh;
  record["config"]["kv_store"]["path"] = path("store");
  workspace_.write("fresh.json", record.dump());
  const Words plain = {"run", "--record", path("fresh.json"), "--output", path("x")};
  const ProcessResult refused = cli(plain);
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.error, HasSubstr("repeat it with --regroup"));
  Words regrouped = plain;
  regrouped.emplace_back("--regroup");
  const ProcessResult repeated = cli(regrouped);
  EXPECT_EQ(repeated.exit_code, 0) << repeated.error;
  EXPECT_THAT(repeated.out, HasSubstr("repeated     5 of 5 answers"));
  // Nothing is dealt or indexed where that would change nothing.
  EXPECT_TRUE(run({"--regroup"}).at("encode").at("index_reused"));
  EXPECT_EQ(run().at("encode").at("assignment"), fresh.at("encode").at("assignment"));
}

TEST_F(ReuseTest, ZeroShotPoolsOfOtherLabelsAreOthers) {
  const Words zero = {"--set", "selection.count=0", "--set", "mask_pattern.plugin=self"};
  const json first = run(zero);
  workspace_.write("other.jsonl",
                   "{\"text\": \"a\", \"label\": \"x\"}\n"
                   "{\"text\": \"b\", \"label\": \"y\"}\n");
  Words query = {"query", path("pipeline.toml"), "card", "--set",
                 "data.demonstrations=" + path("other.jsonl")};
  query.insert(query.end(), zero.begin(), zero.end());
  const ProcessResult result = cli(query);
  EXPECT_EQ(result.exit_code, 2) << result.out;
  EXPECT_THAT(result.error, HasSubstr("dbsa-pipe encode"));
}

// They decide which queries are too long.
TEST_F(ReuseTest, PositionsOfTheModelArePartOfARun) {
  const json first = run();
  json config = json::parse(workspace_.read("model/config.json"));
  config["max_position_embeddings"] = config.at("max_position_embeddings").get<int>() / 2;
  workspace_.write("model/config.json", config.dump());
  const json second = run();
  EXPECT_EQ(second.at("encode").at("blocks_encoded"), 0) << "keys and values are the same";
  EXPECT_NE(second.at("identity").at("group"), first.at("identity").at("group"));
}

TEST_F(ReuseTest, ARecordOfOtherInputsIsNotRepeated) {
  const json record = run();
  workspace_.write("record.json", record.dump());
  const auto refusal = [&] {
    const ProcessResult result =
        cli({"run", "--record", path("record.json"), "--output", path("x")});
    EXPECT_EQ(result.exit_code, 5) << result.error;
    EXPECT_FALSE(fs::exists(path("x")));
    return result.error;
  };
  const std::string pool = workspace_.read("pool.jsonl");
  workspace_.write("pool.jsonl", pool + "{\"text\": \"more\", \"label\": \"alpha\"}\n");
  EXPECT_THAT(
      refusal(),
      HasSubstr(
          "because this has changed since: demonstrations: " +
          record.at("identity").at("inputs").at("demonstrations").get<std::string>().substr(0, 8) +
          ", now "));
  workspace_.write("pool.jsonl", pool);
  const std::string config = workspace_.read("model/config.json");
  json other = json::parse(config);
  other["rms_norm_eps"] = 0.25;
  workspace_.write("model/config.json", other.dump());
  EXPECT_THAT(refusal(), HasSubstr("changed since: model: "));
  workspace_.write("model/config.json", config);
  EXPECT_EQ(cli({"run", "--record", path("record.json"), "--output", path("x")}).exit_code, 0);
}

}  // namespace
}  // namespace dbsa
