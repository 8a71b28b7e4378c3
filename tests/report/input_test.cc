// Reading sweeps and records, and what is said about bad ones.
#include "report/input.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/cli/schema_judge.h"
#include "tests/report/records.h"

namespace dbsa {
namespace {

using nlohmann::json;

Error error_of(const std::vector<std::string>& paths) {
  const auto inputs = read_report_input(paths);
  EXPECT_FALSE(inputs.ok());
  return inputs.ok() ? Error{} : inputs.error();
}

TEST(ReportInput, TheRecordsOfTheseTestsAreValid) {
  EXPECT_EQ(schema_faults("results.schema.json", make_record({})), "");
  EXPECT_EQ(schema_faults("results.schema.json", make_record({.accuracy = std::nullopt})), "");
}

TEST(ReportInput, ARecordIsRead) {
  const ReportRun run = make_run({.accuracy = 0.75, .seed = 3, .demonstrations = 50, .setup = 7});
  EXPECT_EQ(run.accuracy, 0.75);
  EXPECT_EQ(run.data_seed, 3u);
  EXPECT_EQ(run.setup, 7);
  EXPECT_EQ(run.selected_tokens, 200);  // the mean of 100 and 300
  EXPECT_EQ(run.answers.size(), 100u);
  EXPECT_EQ(std::count_if(run.answers.begin(), run.answers.end(),
                          [](const ReportAnswer& answer) { return *answer.correct; }),
            75);
  EXPECT_EQ(run.model, "tiny");
  EXPECT_EQ(run.dataset, "bank/train.jsonl");
  EXPECT_EQ(run.stages[3], 0.01);
  EXPECT_FALSE(run.reused);
}

TEST(ReportInput, SweepsAndRecordsBecomeStudies) {
  const Workspace workspace;
  const std::string sweep = write_sweep(workspace, "sweep", 2, {1, 7});
  workspace.write("sweep/failures/0007.json",
                  R"({"index": 7, "exit_code": 4, "message": "out of memory"})");
  workspace.write("runs/a.json", make_record({.seed = 1}).dump());
  const std::string b = workspace.write("runs/b.json", make_record({.seed = 2}).dump());
  workspace.write("runs/notes.txt", "not a record");
  // b.json twice counts once.
  const auto input = read_report_input(std::vector{b, sweep, workspace.path("runs")});
  ASSERT_TRUE(input.ok()) << input.error().message;
  EXPECT_THAT(input->left_out, testing::ElementsAre());
  ASSERT_EQ(input->studies.size(), 2u);
  const StudyInput& study = input->studies[0];
  EXPECT_EQ(study.title, "Masks");
  EXPECT_EQ(study.cells, 8);
  EXPECT_EQ(study.runs.size(), 6u);
  ASSERT_EQ(study.lost.size(), 2u);
  EXPECT_EQ(study.lost[0].name, "dense/100/1");
  EXPECT_FALSE(study.lost[0].exit_code);
  EXPECT_EQ(study.lost[1].exit_code, 4);
  EXPECT_EQ(study.lost[1].message, "out of memory");
  EXPECT_EQ(input->studies[1].runs.size(), 2u);
}

TEST(ReportInput, AllFaultsAreNamedAtOnce) {
  const Workspace workspace;
  const std::string cut = workspace.write("runs/cut.json", R"({"schema_version": 1, )");
  const std::string foreign = workspace.write("runs/foreign.json", R"({"name": "npm"})");
  json record = make_record({});
  record["schema_version"] = 2;
  const std::string newer = workspace.write("runs/newer.json", record.dump());
  record = make_record({});
  record["totals"]["accuracy"] = "high";
  record["totals"].erase("kv_bytes");
  const std::string wrong = workspace.write("runs/wrong.json", record.dump());
  const std::string none = workspace.path("none");
  const Error error = error_of({workspace.path("runs"), none});
  EXPECT_EQ(error.code, ErrorCode::kConfig);
  EXPECT_EQ(
      error.message,
      cut +
          ": expected a result record of `dbsa-pipe run`, got what is no JSON at byte 23; the "
          "file is damaged or cut short\n" +
          foreign +
          ": expected a result record of `dbsa-pipe run`, got other JSON: its program.name is not "
          "\"dbsa-pipe\", or it has no schema_version\n" +
          newer +
          ": schema_version: expected 1, got 2; read it with the dbsa-pipe that wrote it, or a "
          "newer one\n" +
          wrong + ": totals.accuracy: expected a number from 0 to 1e18, got a string \"high\"\n" +
          wrong + ": totals.kv_bytes: expected a number from 0 to 1e18, but it is missing\n" +
          none +
          ": expected a folder of a sweep, a folder of result records or a record, but there is "
          "nothing");
}

// What cannot be read is named; the rest is reported.
TEST(ReportInput, DamagedRecordsAreLeftOut) {
  const Workspace workspace;
  const std::string sweep = write_sweep(workspace, "sweep", 1, {4});
  const std::string cut =
      workspace.write("sweep/records/0002.json", make_record({}).dump().substr(0, 500));
  const std::string failure = workspace.write("sweep/failures/0004.json", "{");
  workspace.write("runs/good.json", make_record({}).dump());
  const std::string foreign = workspace.write("runs/package.json", R"({"name": "npm"})");
  workspace.write("later/notes.txt", "");
  const auto input =
      read_report_input(std::vector{sweep, workspace.path("runs"), workspace.path("later")});
  ASSERT_TRUE(input.ok()) << input.error().message;
  ASSERT_EQ(input->studies.size(), 2u);
  const StudyInput& study = input->studies[0];
  EXPECT_EQ(study.runs.size(), 2u);
  ASSERT_EQ(study.lost.size(), 2u);
  EXPECT_EQ(study.lost[0].name, "dense/200/1");
  EXPECT_EQ(study.lost[0].message, "its record is damaged");
  EXPECT_EQ(study.lost[1].message, "what happened was noted, but the note is damaged");
  EXPECT_THAT(
      input->left_out,
      testing::ElementsAre(
          cut +
              ": expected a result record of `dbsa-pipe run`, got what is no JSON at byte 501; the "
              "file is damaged or cut short",
          failure +
              ": expected a failure that `dbsa-pipe sweep` noted, got what is no JSON at byte "
              "2; the file is damaged or cut short",
          foreign + ": expected a result record of `dbsa-pipe run`, got other JSON: its "
                    "program.name is not \"dbsa-pipe\", or it has no schema_version",
          workspace.path("later") +
              ": expected a sweep.json or result records (*.json), the folder has none"));
}

TEST(ReportInput, RecordsOfASweepThatCannotBeReadAreLeftOut) {
  const Workspace workspace;
  const std::string sweep = write_sweep(workspace, "sweep", 1, {2, 4});
  std::filesystem::create_symlink("nowhere", workspace.path("sweep/records/0002.json"));
  std::filesystem::create_symlink("0004.json", workspace.path("sweep/records/0004.json"));
  const auto input = read_report_input(std::vector{sweep});
  ASSERT_TRUE(input.ok()) << input.error().message;
  const StudyInput& study = input->studies[0];
  EXPECT_EQ(study.runs.size(), 2u);
  ASSERT_EQ(study.lost.size(), 2u);
  EXPECT_EQ(study.lost[0].message, "its record cannot be read");
  EXPECT_EQ(study.lost[1].message, "its record cannot be read");
  EXPECT_THAT(input->left_out,
              testing::ElementsAre(workspace.path("sweep/records/0002.json") +
                                       ": cannot be opened: No such file or directory",
                                   workspace.path("sweep/records/0004.json") +
                                       ": cannot be opened: Too many levels of symbolic links"));
}

// A narrower sweep into the same folder lists fewer values than there are records of.
TEST(ReportInput, CellsOfValuesThatAnAxisDoesNotListAreRead) {
  const Workspace workspace;
  const std::string folder = write_sweep(workspace, "sweep", 1);
  json sweep = make_sweep(1);
  sweep["axes"][1]["values"] = {"200"};
  workspace.write("sweep/sweep.json", sweep.dump());
  const auto input = read_report_input(std::vector{folder});
  ASSERT_TRUE(input.ok()) << input.error().message;
  EXPECT_EQ(input->studies[0].runs.size(), 4u);
  EXPECT_THAT(input->studies[0].axes[1].values, testing::ElementsAre("200", "100"));
}

TEST(ReportInput, AccuraciesAreShares) {
  json record = make_record({});
  record["totals"]["accuracy"] = 1.5;
  std::vector<std::string> faults;
  EXPECT_FALSE(parse_record("r.json", record.dump(), faults));
  EXPECT_THAT(faults, testing::ElementsAre(
                          "r.json: totals.accuracy: expected a number from 0 to 1, got a number "
                          "1.5"));
}

TEST(ReportInput, EmptyFoldersAndEmptyFiles) {
  const Workspace workspace;
  workspace.write("empty/notes.txt", "");
  Error error = error_of({workspace.path("empty")});
  EXPECT_EQ(error.code, ErrorCode::kEnvironment);
  EXPECT_EQ(error.message,
            workspace.path("empty") +
                ": expected a sweep.json or result records (*.json), the folder has none");
  const std::string file = workspace.write("blank.json", "");
  error = error_of({file});
  EXPECT_EQ(error.code, ErrorCode::kConfig);
  EXPECT_EQ(error.message, file +
                               ": expected a result record of `dbsa-pipe run`, got what is no "
                               "JSON at byte 1; the file is damaged or cut short");
  const std::string sweep = write_sweep(workspace, "sweep", 1, {1, 2, 3, 4});
  error = error_of({sweep});
  EXPECT_EQ(error.code, ErrorCode::kEnvironment);
  EXPECT_EQ(error.message, sweep +
                               ": expected the record of at least one cell in records/, but none "
                               "has ended well yet");
}

std::vector<std::string> sweep_faults(const json& sweep) {
  std::vector<std::string> faults;
  EXPECT_FALSE(parse_sweep("sweep.json", sweep.dump(), faults));
  return faults;
}

TEST(ReportInput, FaultsOfASweep) {
  json sweep = make_sweep(1);
  sweep["baseline"] = {{"method", "denes"}, {"model", "x"}};
  sweep["published"][0]["metric"] = "f1";
  sweep["cells"][0]["record"] = "../elsewhere.json";
  sweep["cells"][1]["values"].erase("size");
  EXPECT_THAT(
      sweep_faults(sweep),
      testing::ElementsAre(
          "sweep.json: cells[0].record: expected a path inside the folder of the sweep, got a "
          "string \"../elsewhere.json\"",
          "sweep.json: cells[1].values: expected one of each axis",
          "sweep.json: baseline: expected a value of the axis \"method\", got \"denes\"",
          "sweep.json: baseline: expected names of axes, got \"model\"",
          "sweep.json: published[0].metric: expected \"accuracy\", \"request_ratio\" or "
          "\"setup_ratio\", got a string \"f1\""));
  sweep = make_sweep(1);
  sweep["schema_version"] = 2;
  EXPECT_THAT(sweep_faults(sweep),
              testing::ElementsAre("sweep.json: schema_version: expected 1, got 2; read it with "
                                   "the dbsa-pipe that wrote it, or a newer one"));
  EXPECT_THAT(sweep_faults({{"a", 1}}),
              testing::ElementsAre("sweep.json: expected the sweep.json of `dbsa-pipe sweep`, got "
                                   "other JSON: it has no schema_version, or no cells"));
}

TEST(ReportInput, DeepJsonIsRefused) {
  std::vector<std::string> faults;
  EXPECT_FALSE(parse_record("r.json", std::string(100000, '['), faults));
  EXPECT_FALSE(parse_record("r.json", std::string(70, '[') + std::string(70, ']'), faults));
  EXPECT_FALSE(parse_record("r.json", R"({"a": 1e999})", faults));
  ASSERT_EQ(faults.size(), 3u);
  EXPECT_THAT(faults[1], testing::HasSubstr("got JSON nested deeper than 64 levels"));
  EXPECT_THAT(faults[2], testing::HasSubstr("got JSON with a number out of range"));
}

}  // namespace
}  // namespace dbsa
