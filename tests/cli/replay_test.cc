// run --record: a run again, from its result record only.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/opened_file.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ReplayTest : public CliTest {
 protected:
  // Runs the pipeline and takes its record to record.json.
  json make_record() const {
    make_pipeline();
    const std::string pipeline = edit_pipeline("path = \"store\"", "plugin = \"memory\"");
    EXPECT_EQ(cli({"run", pipeline, "--quiet", "--set", "data.demonstration_count=20"}).exit_code,
              0);
    json record = only_record();
    std::filesystem::remove_all(path("runs"));
    std::filesystem::remove(pipeline);
    workspace_.write("record.json", record.dump());
    return record;
  }
};

TEST_F(ReplayTest, AnswersAreTheRecords) {
  const json before = make_record();
  const ProcessResult result = cli({"run", "--record", path("record.json")});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out,
              HasSubstr("\nrepeated     5 of 5 answers as in " + path("record.json") + "\n"));
  const json after = only_record();
  EXPECT_EQ(after.at("config"), before.at("config"));
  EXPECT_EQ(after.at("pipeline"), path("record.json"));
  for (size_t i = 0; i < 5; ++i)
    for (const char* key : {"label", "log_probability", "runner_up", "blocks", "tokens"})
      EXPECT_EQ(after.at("queries")[i].at(key), before.at("queries")[i].at(key)) << key;
}

TEST_F(ReplayTest, TheRecordIsReadOnce) {
  make_record();
  OpenedFile record(path("record.json"));
  EXPECT_EQ(cli({"run", "--record", path("record.json"), "--json"}).exit_code, 0);
  EXPECT_EQ(record.count(), 1);
}

TEST_F(ReplayTest, CountsTheAnswersThatDiffer) {
  json record = make_record();
  record["queries"][2]["label"] = "another";
  record["queries"][3] = 7;
  workspace_.write("record.json", record.dump());
  const ProcessResult result = cli({"run", "--record", path("record.json"), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(json::parse(result.out).at("repeated"),
            json({{"record", path("record.json")}, {"answers", 5}, {"equal", 3}}));
}

TEST_F(ReplayTest, TheCommandLineIsSetOverTheRecord) {
  make_record();
  const ProcessResult result = cli({"run", "--record", path("record.json"), "--set",
                                    "selection.ratio=1.0", "--output", path("x")});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_FALSE(std::filesystem::exists(path("runs")));
  const ProcessResult wrong =
      cli({"run", "--record", path("record.json"), "--set", "selection.ratio=2"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_EQ(wrong.error, "error: --set selection.ratio: must be <= 1, got 2\n");
}

TEST_F(ReplayTest, DataThatHasChangedIsTold) {
  make_record();
  workspace_.write("queries.jsonl", "{\"text\": \"card\"}\n");
  const ProcessResult result = cli({"run", "--record", path("record.json")});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.error,
              HasSubstr("error: " + path("record.json") +
                        ": cannot be repeated, because this has changed since: queries: "));
}

TEST_F(ReplayTest, FaultsHaveTheRecordsName) {
  make_record();
  std::filesystem::remove(path("pool.jsonl"));
  const ProcessResult result = cli({"run", "--record", path("record.json")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: " + path("record.json") +
                              ": data.demonstrations: no such file: " + path("pool.jsonl") + "\n");
}

TEST_F(ReplayTest, WhatIsNoRecordIsRefused) {
  const auto error = [&](const std::string& text) {
    const ProcessResult result = cli({"run", "--record", workspace_.write("r.json", text)});
    EXPECT_EQ(result.exit_code, 2);
    return result.error;
  };
  const std::string no_record =
      "error: " + path("r.json") +
      ": is not a result record: expected a JSON object with a table config\n";
  for (const char* text : {"", "nonsense", "[1]", "{}", "{\"config\": 3}"})
    EXPECT_EQ(error(text), no_record) << text;
  EXPECT_THAT(error("{\"config\": {}}"),
              HasSubstr("error: " + path("r.json") + ": model.path: is required\n"));
  EXPECT_THAT(error("{\"config\": {\"model\": null}}"),
              HasSubstr("error: " + path("r.json") + ": model: must be a table, got nothing\n"));
  const auto deep = [&](int levels) {
    std::string config;
    for (int i = 0; i < levels; ++i) config += "{\"a\":";
    return error("{\"config\": " + config + "1" + std::string(levels + 1, '}'));
  };
  EXPECT_EQ(deep(63), "error: " + path("r.json") + ": is nested more than 16 levels deep\n");
  for (const int levels : {64, 50000})
    EXPECT_EQ(deep(levels),
              "error: " + path("r.json") +
                  ": is not a result record: its JSON is nested deeper than 64 levels\n");
  const ProcessResult missing = cli({"run", "--record", path("none.json")});
  EXPECT_EQ(missing.exit_code, 4);
  EXPECT_EQ(missing.error, "error: " + path("none.json") + ": no such record\n");
}

TEST_F(ReplayTest, EitherAPipelineOrARecordIsNeeded) {
  const std::string pipeline = make_pipeline();
  const std::string expected =
      "error: dbsa-pipe run: expected either PIPELINE or --record RECORD; see `dbsa-pipe run "
      "--help`\n";
  for (const Words& words : {Words{"run"}, Words{"run", pipeline, "--record", path("r.json")}}) {
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.error, expected);
  }
}

}  // namespace
}  // namespace dbsa
