// The sweeps of pipelines/paper, laid out with small data in the place of the real sets.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <set>

#include "tests/support/sanitized.h"
#include "tests/sweep/sweep_fixture.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class PaperSweeps : public SweepTest {
 protected:
  // The pipelines as they are in the tree, and a few lines of data for each of their sets.
  void SetUp() override {
    fs::copy(DBSA_SOURCE_DIR "/pipelines", path("pipelines"), fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(path("pipelines/paper/data"))) {
      const std::string data = "data/" + entry.path().stem().string();
      std::string lines;
      for (int i = 0; i < 20; ++i)
        lines += json{{"text", data + " message " + std::to_string(i)},
                      {"label", i % 2 == 0 ? "a" : "b"}}
                     .dump() +
                 "\n";
      workspace_.write(data + "/train.jsonl", lines);
      workspace_.write(data + "/test.jsonl", lines);
      workspace_.write(data + "/test_indices.json", "[0, 1]");
    }
  }

  json list(const std::string& sweep) const {
    Words words = {"sweep", path("pipelines/paper/" + sweep), "--list", "--json"};
    if (kSanitized) words.insert(words.end(), {"--runs", "1"});
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return result.exit_code == 0 ? json::parse(result.out) : json();
  }
};

TEST_F(PaperSweeps, EachOneIsAGridOfWholePipelines) {
  struct Grid {
    size_t pipelines, runs;
  };
  const std::map<std::string, Grid> grids = {
      {"ablations.toml", {5 * 17, 10}},         {"accuracy.toml", {10 * 5, 10}},
      {"accuracy_90k.toml", {10 * 5, 10}},      {"block_size_ratio.toml", {5 * 5 * 6, 3}},
      {"demonstrations.toml", {2 * 5 * 5, 10}}, {"positions.toml", {5 * 2 * 2 * 2, 10}}};
  for (const std::string& file : files("pipelines/paper")) {
    if (!file.ends_with(".toml")) continue;
    SCOPED_TRACE(file);
    ASSERT_TRUE(grids.contains(file)) << "a new sweep needs its line in this test";
    const size_t cells = grids.at(file).pipelines * (kSanitized ? 1 : grids.at(file).runs);
    const json sweep = list(file);
    ASSERT_EQ(sweep.at("cells").size(), cells);
    // No two cells are the same pipeline, or an axis would be without effect.
    std::set<std::string> records;
    for (const json& cell : sweep.at("cells")) records.insert(cell.at("record"));
    EXPECT_EQ(records.size(), cells);
    EXPECT_TRUE(sweep.at("cells")[0].at("done") == false);
  }
}

TEST_F(PaperSweeps, OneRunsWithASmallModel) {
  make_pipeline();
  const ProcessResult result =
      cli({"sweep", path("pipelines/paper/accuracy.toml"), "--only", "data=trec", "--runs", "1",
           "--set", "model.path=" + path("model"), "--set", "data.demonstration_count=20"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, testing::HasSubstr("10: 10 run, 0 had a record, 0 failed"));
}

}  // namespace
}  // namespace dbsa
