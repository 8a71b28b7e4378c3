// dbsa-pipe sweep, end to end: each cell is a real run on the tiny model.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/cli/schema_judge.h"
#include "tests/support/sanitized.h"
#include "tests/sweep/sweep_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

// Queries of a cell that takes long enough to be stopped in the middle of a sweep.
constexpr int kLongCell = kSanitized ? 40 : 200;

class SweepCommand : public SweepTest {
 protected:
  // Waits for something, for half a minute at most.
  template <typename Condition>
  static bool wait_for(Condition&& condition) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  std::string record_of(const std::string& sweep, size_t cell) const {
    return "out/" + list(sweep).at("cells")[cell].at("record").get<std::string>();
  }
  json list(const std::string& sweep) const {
    return json::parse(cli({"sweep", sweep, "--list", "--json"}).out);
  }
};

TEST_F(SweepCommand, EveryCellGetsItsRecord) {
  const std::string sweep = make_sweep();
  const ProcessResult result = cli({"sweep", sweep});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.out,
            "cells      8: 8 run, 0 had a record, 0 failed\nrecords    " + path("out") + "\n");
  EXPECT_THAT(files("out"), ElementsAre("cells", "records", "sweep.json"));
  const json written = json::parse(workspace_.read("out/sweep.json"));
  ASSERT_EQ(written.at("cells").size(), 8u);
  for (const json& cell : written.at("cells")) {
    const json record = json::parse(workspace_.read("out/" + cell.at("record").get<std::string>()));
    EXPECT_EQ(schema_faults("results.schema.json", record), "");
    EXPECT_EQ(record.at("seeds").at("data"), cell.at("run"));
    EXPECT_EQ(record.at("config").at("selection").at("ratio").dump(),
              cell.at("values").at("share").get<std::string>());
    EXPECT_EQ(record.at("config").at("output").at("directory"), path("out"));
    EXPECT_EQ(record.at("pipeline"), path("out/" + cell.at("pipeline").get<std::string>()));
    // The cell's pipeline can be run by itself.
    EXPECT_EQ(cli({"validate", path("out/" + cell.at("pipeline").get<std::string>())}).exit_code,
              0);
  }
  EXPECT_EQ(cli({"report", path("out"), "--quiet", "--json"}).exit_code, 0);
}

TEST_F(SweepCommand, AnswersDoNotDependOnJobsOrShards) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--jobs", "1"}).exit_code, 0);
  const auto one = answers();
  ASSERT_EQ(one.size(), 8u);
  fs::remove_all(path("out"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--jobs", "2"}).exit_code, 0);
  EXPECT_EQ(answers(), one);
  fs::remove_all(path("out"));
  for (const char* shard : {"1/4", "2/4", "3/4", "4/4"}) {
    const ProcessResult result = cli({"sweep", sweep, "--cell", shard, "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(json::parse(result.out), json({{"schema", "sweep_outcome"},
                                             {"schema_version", 1},
                                             {"directory", path("out")},
                                             {"cells", 2},
                                             {"before", 0},
                                             {"done", 2},
                                             {"stopped", 0},
                                             {"with_errors", 0},
                                             {"warnings", json::array()},
                                             {"failures", json::array()}}));
  }
  EXPECT_EQ(answers(), one);
}

TEST_F(SweepCommand, WhatHasARecordIsNotRunAgain) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--runs", "1"}).exit_code, 0);
  const auto before = stamps();
  ASSERT_EQ(before.size(), 4u);
  const ProcessResult extended = cli({"sweep", sweep});
  EXPECT_THAT(extended.out, HasSubstr("8: 4 run, 4 had a record, 0 failed"));
  auto after = stamps();
  EXPECT_EQ(after.size(), 8u);
  for (const auto& [name, stamp] : before) EXPECT_EQ(after[name], stamp);
  EXPECT_THAT(cli({"sweep", sweep}).out, HasSubstr("8: 0 run, 8 had a record, 0 failed"));
  EXPECT_EQ(stamps(), after);
  // --fresh runs what is chosen, and nothing else.
  const ProcessResult fresh = cli({"sweep", sweep, "--fresh", "--only", "mask=self"});
  EXPECT_THAT(fresh.out, HasSubstr("4: 4 run, 0 had a record, 0 failed"));
  int same = 0;
  for (const auto& [name, stamp] : stamps()) same += after[name] == stamp ? 1 : 0;
  EXPECT_EQ(same, 4);
}

// What answers depend on decides, not what files are called or when they were written.
TEST_F(SweepCommand, CellsWhoseInputsChangedAreRunAgain) {
  const std::string sweep = make_sweep();
  const Words words = {"sweep", sweep, "--runs", "1", "--only", "share=0.5"};
  const auto outcome = [&] { return cli(words).out.substr(0, 52); };
  EXPECT_THAT(outcome(), HasSubstr("2: 2 run, 0 had a record"));
  workspace_.write("pool.jsonl", workspace_.read("pool.jsonl"));
  EXPECT_THAT(outcome(), HasSubstr("2: 0 run, 2 had a record")) << "written again, the same";
  const std::string queries = workspace_.read("queries.jsonl");
  workspace_.write("queries.jsonl", queries + "{\"text\": \"one more\"}\n");
  EXPECT_THAT(outcome(), HasSubstr("2: 2 run, 0 had a record"));
  workspace_.write("queries.jsonl", queries);
  EXPECT_THAT(outcome(), HasSubstr("2: 0 run, 2 had a record")) << "and back";
  std::string pool = workspace_.read("pool.jsonl");
  const size_t text = pool.find("\"text\":");
  ASSERT_NE(text, pool.npos);
  pool.insert(pool.find('"', text + 7) + 1, "edited ");
  workspace_.write("pool.jsonl", pool);
  EXPECT_THAT(outcome(), HasSubstr("2: 2 run, 0 had a record"));
  const std::string config = workspace_.read("model/config.json");
  workspace_.write("model/config.json", config + "\n");
  EXPECT_THAT(outcome(), HasSubstr("2: 0 run, 2 had a record")) << "white space is no content";
  json other = json::parse(config);
  other["rope_theta"] = 12345.0;
  workspace_.write("model/config.json", other.dump());
  EXPECT_THAT(outcome(), HasSubstr("2: 2 run, 0 had a record"));
}

TEST_F(SweepCommand, CellsDoNotDependOnWhatTheStoreHadBefore) {
  const std::string sweep = make_sweep();
  const std::string pool = workspace_.read("pool.jsonl");
  workspace_.write("pool.jsonl", pool.substr(pool.find('\n', pool.size() / 2) + 1));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  workspace_.write("pool.jsonl", pool);
  fs::remove_all(path("out"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const auto after_an_edit = answers();
  fs::remove_all(path("out"));
  fs::remove_all(path("store"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  EXPECT_EQ(answers(), after_an_edit);
}

TEST_F(SweepCommand, ANarrowerSweepKeepsTheOtherRowsOfTheReport) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const json before = json::parse(workspace_.read("out/sweep.json"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--only", "mask=self", "--runs", "1"}).exit_code, 0);
  const json after = json::parse(workspace_.read("out/sweep.json"));
  EXPECT_EQ(after.at("axes"), before.at("axes"));
  EXPECT_EQ(after.at("runs"), before.at("runs"));
  std::set<std::string> records, kept;
  for (const json& cell : before.at("cells")) records.insert(cell.at("record"));
  for (const json& cell : after.at("cells")) kept.insert(cell.at("record"));
  EXPECT_EQ(kept, records);
  const json report = json::parse(cli({"report", path("out"), "--json", "--no-plots"}).out);
  EXPECT_EQ(report.at("studies")[0].at("groups").size(), 4u);
  // What has no record is not kept, and neither is a value that has gone with its records.
  fs::remove_all(path("out/records"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--only", "mask=self", "--runs", "1"}).exit_code, 0);
  EXPECT_EQ(json::parse(workspace_.read("out/sweep.json")).at("cells").size(), 2u);
}

TEST_F(SweepCommand, SetDoesNotFalsifyRows) {
  const std::string sweep = make_sweep();
  const ProcessResult refused = cli({"sweep", sweep, "--set", "selection.ratio=0.7"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.error,
            "error: --set selection.ratio: the axis \"share\" of " + sweep +
                " sets selection.ratio, so its rows would be named after values that they do not "
                "have; choose a value with --only, edit the sweep file, or add --force-set\n");
  EXPECT_EQ(files("out").size(), 0u);
  const ProcessResult forced = cli({"sweep", sweep, "--set", "selection.ratio=0.7", "--force-set",
                                    "--runs", "1", "--only", "mask=self"});
  EXPECT_EQ(forced.exit_code, 0);
  EXPECT_EQ(
      forced.error.substr(0, forced.error.find('\n')),
      "warning: \"share = 1.0, mask = self, run 1\" and \"share = 0.5, mask = self, run 1\" are "
      "the same pipeline and share one record");
  EXPECT_THAT(files("out/records"), testing::SizeIs(1));
}

TEST_F(SweepCommand, KeysThatAffectSpeedTellCellsApartOnlyOnAnAxis) {
  make_sweep();
  const std::string sweep = workspace_.write("speed.toml", R"(base = "pipeline.toml"
output.directory = "out"
[[axis]]
name = "batch"
key = "model.batch_size"
values = [1, 2]
)");
  const ProcessResult first = cli({"sweep", sweep});
  EXPECT_THAT(first.out, HasSubstr("2: 2 run, 0 had a record")) << first.error;
  EXPECT_THAT(files("out/records"), testing::SizeIs(2));
  EXPECT_THAT(cli({"sweep", sweep, "--only", "batch=2"}).out,
              HasSubstr("1: 0 run, 1 had a record"));
  EXPECT_THAT(cli({"sweep", sweep, "--set", "model.chunk_tokens=64"}).out,
              HasSubstr("2: 0 run, 2 had a record"));
}

// What a cell has answered is not answered again, unless its inputs have changed.
TEST_F(SweepCommand, ACellThatWasStoppedContinues) {
  const std::string sweep = make_sweep(kLongCell);
  const Words words = {"sweep", sweep, "--only", "mask=self", "--only", "share=0.5", "--runs", "1"};
  const auto lines = [&] {
    int64_t count = 0;
    for (const std::string& name : files("out/journals"))
      count += std::ranges::count(workspace_.read("out/journals/" + name), '\n');
    return count;
  };
  const auto stop_half_way = [&] {
    Process process(command(words),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    EXPECT_TRUE(wait_for([&] { return process.ended() || lines() > 5; }));
    process.send_signal(SIGTERM);
    EXPECT_EQ(process.wait().exit_code, 128 + SIGTERM);
    EXPECT_GT(lines(), 5);
    return files("out/journals");
  };
  const std::vector<std::string> journal = stop_half_way();
  ASSERT_THAT(journal, testing::SizeIs(1));
  const std::string kept = workspace_.read("out/journals/" + journal[0]);
  const size_t first = kept.find('\n') + 1;  // behind the header
  const json answered = json::parse(kept.substr(first, kept.find('\n', first) - first));
  EXPECT_THAT(cli(words).out, HasSubstr("1: 1 run, 0 had a record, 0 failed"));
  EXPECT_THAT(files("out"), ElementsAre("cells", "records", "sweep.json"));
  // Its first answer, down to its time, is the one of the journal.
  const json record = json::parse(workspace_.read(record_of(sweep, 2)));
  EXPECT_EQ(record.at("queries")[0].at("seconds"), answered.at("answer").at("seconds"));
  ASSERT_EQ(record.at("queries").size(), static_cast<size_t>(kLongCell));
  // A journal of a cell that is no more goes.
  fs::remove_all(path("out/records"));
  ASSERT_THAT(stop_half_way(), testing::SizeIs(1));
  workspace_.write("queries.jsonl", workspace_.read("queries.jsonl") + "{\"text\": \"more\"}\n");
  EXPECT_THAT(cli(words).out, HasSubstr("1: 1 run, 0 had a record, 0 failed"));
  EXPECT_THAT(files("out"), ElementsAre("cells", "records", "sweep.json"));
}

TEST_F(SweepCommand, ListsCellsAndRunsNone) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--cell", "2/8"}).exit_code, 0);
  const ProcessResult result = cli({"sweep", sweep, "--list"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out,
            "cell  record  values\n"
            "   1  -       share = 0.5, mask = dbsa, run 1\n"
            "   2  done    share = 0.5, mask = dbsa, run 2\n"
            "   3  -       share = 0.5, mask = self, run 1\n"
            "   4  -       share = 0.5, mask = self, run 2\n"
            "   5  -       share = 1.0, mask = dbsa, run 1\n"
            "   6  -       share = 1.0, mask = dbsa, run 2\n"
            "   7  -       share = 1.0, mask = self, run 1\n"
            "   8  -       share = 1.0, mask = self, run 2\n");
  const json all = list(sweep);
  ASSERT_EQ(all.at("cells").size(), 8u);
  EXPECT_EQ(all.at("cells")[1].at("done"), true);
  EXPECT_EQ(all.at("cells")[2].at("done"), false);
  const json shard =
      json::parse(cli({"sweep", sweep, "--list", "--json", "--cell", "2/4"}).out).at("cells");
  ASSERT_EQ(shard.size(), 2u);
  EXPECT_EQ(shard[0].at("index"), 1);
  EXPECT_EQ(shard[1].at("index"), 5);
  EXPECT_EQ(files("out/records").size(), 1u);
}

TEST_F(SweepCommand, AFailingCellStopsNoOtherAndIsTriedAgain) {
  const std::string sweep = make_sweep(5, R"(
[[axis]]
name = "pool"
[[axis.value]]
name = "all"
[[axis.value]]
name = "too many"
set = { "data.demonstration_count" = 1000 }
)");
  const Words words = {"sweep", sweep, "--only", "mask=self", "--runs", "1"};
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, HasSubstr("4: 2 run, 0 had a record, 2 failed"));
  const json cells =
      json::parse(
          cli({"sweep", sweep, "--only", "mask=self", "--runs", "1", "--list", "--json"}).out)
          .at("cells");
  const std::string why = path("out/" + cells[1].at("pipeline").get<std::string>());
  EXPECT_THAT(result.error,
              HasSubstr("error: share = 0.5, mask = self, pool = too many, run 1: exit "
                        "code 2: " +
                        why + ":"));
  EXPECT_THAT(result.error, HasSubstr("data.demonstration_count"));
  EXPECT_EQ(files("out/failures").size(), 2u);
  EXPECT_EQ(files("out/records").size(), 2u);
  const json failure =
      json::parse(workspace_.read("out/" + cells[1].at("failure").get<std::string>()));
  EXPECT_EQ(failure.at("index"), 1);
  EXPECT_EQ(failure.at("name"), "share = 0.5, mask = self, pool = too many, run 1");
  EXPECT_EQ(failure.at("exit_code"), 2);
  EXPECT_THAT(failure.at("message").get<std::string>(), HasSubstr("data.demonstration_count"));

  // The next call tries again, and forgets the failure when all is well. Cells of other data are
  // other cells.
  EXPECT_THAT(cli(words).out, HasSubstr("4: 0 run, 2 had a record, 2 failed"));
  std::string line, pool;
  for (int i = 0; i < 50; ++i) pool += workspace_.read("pool.jsonl");
  workspace_.write("pool.jsonl", pool);
  EXPECT_THAT(cli(words).out, HasSubstr("4: 4 run, 0 had a record, 0 failed"));
  EXPECT_THAT(files("out/failures"), IsEmpty());
  EXPECT_THAT(cli(words).out, HasSubstr("4: 0 run, 4 had a record, 0 failed"));
}

// What needs the pool, such as how many blocks there are, shows long after a file was read.
TEST_F(SweepCommand, CellsThatCannotRunAreToldBeforeTheFirstComputes) {
  const std::string sweep = make_sweep(kLongCell, R"(
[[axis]]
name = "blocks"
[[axis.value]]
name = "a share"
[[axis.value]]
name = "too many"
set = { "selection.count" = 1000 }
)");
  const Words words = {"sweep", sweep, "--only", "mask=self"};
  Process process(command(words),
                  {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  // Both runs of "too many", whose shares are the same.
  ASSERT_TRUE(wait_for([&] { return process.ended() || files("out/failures").size() == 2; }));
  EXPECT_THAT(files("out/records"), IsEmpty());
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, HasSubstr("8: 4 run, 0 had a record, 4 failed"));
  EXPECT_THAT(result.error, HasSubstr("\nwarning: 4 cells cannot run, the others do:\n"
                                      "share = 0.5, mask = self, blocks = too many, run 1 and 1 "
                                      "other cell: exit code 2: "));
  EXPECT_THAT(result.error, HasSubstr("selection.count"));
  // Queries do not stop a cell, unless the pipeline says so.
  workspace_.write("queries.jsonl", workspace_.read("queries.jsonl") + "{\"text\": \"\"}\n");
  EXPECT_THAT(
      cli({"sweep", sweep, "--only", "blocks=a share", "--only", "share=0.5", "--runs", "1"}).out,
      HasSubstr("2: 2 run, 0 had a record, 0 failed"));
  const ProcessResult strict =
      cli({"sweep", sweep, "--only", "blocks=a share", "--only", "share=0.5", "--runs", "1",
           "--set", "data.on_error=fail", "--fresh"});
  EXPECT_THAT(strict.out, HasSubstr("2: 0 run, 0 had a record, 2 failed"));
}

TEST_F(SweepCommand, AMessageOfManyCellsIsToldOnce) {
  const std::string sweep = make_sweep();
  workspace_.write("queries.jsonl", "{\"text\": \"a\", \"label\": \" no such label\"}\n");
  const ProcessResult result = cli({"sweep", sweep, "--only", "mask=self", "--json"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_EQ(json::parse(result.out).at("failures").size(), 4u);
  EXPECT_THAT(result.error, HasSubstr("no such label"));
  EXPECT_THAT(result.error, HasSubstr("and 3 other cells: exit code"));
}

// `run` ends with 2 then, and with a record.
TEST_F(SweepCommand, ACellWithAQueryThatHasNoAnswerIsDone) {
  const std::string sweep = make_sweep();
  workspace_.write("queries.jsonl", workspace_.read("queries.jsonl") + "{\"text\": \"\"}\n");
  const Words words = {"sweep", sweep, "--only", "mask=self", "--runs", "1"};
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("run, 0 had a record, 0 failed"));
  EXPECT_THAT(result.error, HasSubstr("have queries without an answer, which count as wrong"));
  EXPECT_THAT(files("out/failures"), IsEmpty());
  const ProcessResult again = cli(words);
  EXPECT_THAT(again.out, HasSubstr(": 0 run, "));
  EXPECT_THAT(again.error, HasSubstr("2 cells have queries without an answer"));
}

TEST_F(SweepCommand, WhatCellsWarnOfIsToldOnceAndAgain) {
  const std::string sweep = make_sweep();
  const Words words = {"sweep", sweep, "--quiet", "--set", "data.query_count=1000"};
  const ProcessResult first = cli(words);
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_THAT(first.error, testing::ContainsRegex("warning: \"share = [^\n]*, run 1\" and 7 other "
                                                  "cells: [^\n]*data.query_count[^\n]*is 1,000"));
  Words with_json = words;
  with_json.emplace_back("--json");
  const ProcessResult second = cli(with_json);
  EXPECT_EQ(second.error, first.error);
  const json warnings = json::parse(second.out).at("warnings");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].at("cells"), 8);
  EXPECT_THAT(warnings[0].at("first_cell"), HasSubstr("run 1"));
  EXPECT_THAT(warnings[0].at("text"), HasSubstr("is 1,000, and there are 5 queries"));
}

TEST_F(SweepCommand, WhatIsNoRecordOfTheCellIsNotTakenForOne) {
  const std::string sweep = make_sweep();
  const Words words = {"sweep", sweep, "--runs", "1"};
  ASSERT_EQ(cli(words).exit_code, 0);
  const auto good = answers();
  const std::string first = record_of(sweep, 0), other = workspace_.read(record_of(sweep, 2));
  const std::string whole = workspace_.read(first);
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), std::string("nonsense"),
        whole.substr(0, whole.size() - 20), other}) {
    workspace_.write(first, text);
    EXPECT_THAT(cli({"sweep", sweep, "--runs", "1", "--list"}).out, HasSubstr("   1  -  "));
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("4: 1 run, 3 had a record, 0 failed"));
    EXPECT_THAT(result.error, HasSubstr(path(first) + ": is not a record of this cell; the cell is "
                                                      "run again\n"));
    EXPECT_EQ(answers(), good);
  }
}

TEST_F(SweepCommand, AnEditedCellPipelineIsWrittenAnew) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const auto good = answers();
  for (const std::string& name : files("out/cells"))
    workspace_.write("out/cells/" + name, "[selection]\nratio = 0.1\n");
  ASSERT_EQ(cli({"sweep", sweep, "--quiet", "--fresh"}).exit_code, 0);
  EXPECT_EQ(answers(), good);
}

TEST_F(SweepCommand, CellsOfOnePipelineAreRunAsOne) {
  make_sweep();
  const std::string text = workspace_.read("sweep.toml");
  const std::string sweep = workspace_.write("sweep.toml", "seed_keys = []\n" + text);
  const ProcessResult result = cli({"sweep", sweep, "--jobs", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("8: 8 run, 0 had a record, 0 failed"));
  EXPECT_EQ(files("out/records").size(), 4u);
  EXPECT_THAT(cli({"sweep", sweep}).out, HasSubstr("8: 0 run, 8 had a record, 0 failed"));
}

TEST_F(SweepCommand, StoppedByASignalItGoesOnWhereItWas) {
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGKILL}) {
    const std::string sweep = make_sweep(kLongCell);
    Process process(command({"sweep", sweep, "--jobs", "2"}),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    ASSERT_TRUE(wait_for([&] { return process.ended() || files("out/records").size() >= 2; }));
    process.send_signal(signal_number);
    const ProcessResult stopped = process.wait();
    if (signal_number == SIGKILL) {
      EXPECT_EQ(stopped.exit_code, -SIGKILL);
    } else {
      EXPECT_EQ(stopped.exit_code, 128 + signal_number) << stopped.error;
      EXPECT_THAT(stopped.error, testing::ContainsRegex(
                                     "stopped after [2-7] cells; run the same command again to go "
                                     "on with the others\n$"));
      EXPECT_THAT(files("out/parts"), IsEmpty());
    }
    EXPECT_THAT(files("out/failures"), IsEmpty());
    const auto before = stamps();
    ASSERT_LT(before.size(), 8u) << "it was to be stopped half-way";
    for (const auto& [name, stamp] : before)
      EXPECT_EQ(
          schema_faults("results.schema.json", json::parse(workspace_.read("out/records/" + name))),
          "")
          << name;

    const ProcessResult again = cli({"sweep", sweep, "--jobs", "2", "--json"});
    ASSERT_EQ(again.exit_code, 0) << again.error;
    EXPECT_EQ(json::parse(again.out).at("before"), before.size());
    EXPECT_EQ(json::parse(again.out).at("done"), 8 - before.size());
    auto after = stamps();
    EXPECT_EQ(after.size(), 8u);
    for (const auto& [name, stamp] : before) EXPECT_EQ(after[name], stamp);
    EXPECT_THAT(files("out/parts"), IsEmpty());
    fs::remove_all(path("out"));
    fs::remove_all(path("model"));
  }
}

// The processes of cells end with the sweep that started them, even when it is killed.
TEST_F(SweepCommand, LeavesNoProcessBehind) {
  const std::string sweep = make_sweep(5000);
  Process process(command({"sweep", sweep}),
                  {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  const auto running = [&] {
    int count = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      std::ostringstream words;  // a process may end while it is read, which is no failure
      words << file.rdbuf();
      count += words.str().find(path("out/cells")) != std::string::npos ? 1 : 0;
    }
    return count;
  };
  ASSERT_TRUE(wait_for([&] { return running() > 0; }));
  process.send_signal(SIGKILL);
  process.wait();
  EXPECT_TRUE(wait_for([&] { return running() == 0; }));
}

TEST_F(SweepCommand, TwoAtOnceInOneFolderDoNoHarm) {
  const std::string sweep = make_sweep(40);
  const ProcessOptions options = {
      .environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}};
  Process first(command({"sweep", sweep, "--quiet"}), options);
  Process second(command({"sweep", sweep, "--quiet"}), options);
  const ProcessResult one = first.wait(), two = second.wait();
  EXPECT_EQ(one.exit_code, 0) << one.error;
  EXPECT_EQ(two.exit_code, 0) << two.error;
  const auto both = answers();
  EXPECT_EQ(both.size(), 8u);
  EXPECT_THAT(files("out"), ElementsAre("cells", "records", "sweep.json"));
  fs::remove_all(path("out"));
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  EXPECT_EQ(answers(), both);
}

TEST_F(SweepCommand, EachRecordRepeatsItsRun) {
  const std::string sweep = make_sweep();
  ASSERT_EQ(cli({"sweep", sweep, "--quiet"}).exit_code, 0);
  const auto all = answers();
  int round = 0;
  for (const auto& [name, before] : all) {
    const std::string folder = "again" + std::to_string(++round);
    const ProcessResult result =
        cli({"run", "--record", path("out/records/" + name), "--output", path(folder)});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("repeated     5 of 5 answers as in " +
                                      path("out/records/" + name) + "\n"));
    EXPECT_EQ(answers_of(json::parse(workspace_.read(folder + "/" + files(folder)[0]))), before);
  }
  // Without --output it goes to the sweep's folder, not to that of the process.
  ASSERT_EQ(cli({"run", "--record", path("out/records/" + all.begin()->first)}).exit_code, 0);
  EXPECT_EQ(files("out").size(), 4u);
}

TEST_F(SweepCommand, SaysWhatIsWrongWithTheCommandLine) {
  const std::string sweep = make_sweep();
  const auto error = [&](Words words) {
    words.insert(words.begin(), {"sweep", sweep});
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    return result.error;
  };
  for (const char* shard :
       {"0/4", "5/4", "4", "1/", "/4", "a/4", "1/4x", "-1/4", "1/99999999999999999999"})
    EXPECT_EQ(error({"--cell", shard}), "error: --cell " + std::string(shard) +
                                            ": expected I/N with 1 <= I <= N, as in --cell 3/8\n");
  EXPECT_EQ(error({"--jobs", "0"}), "error: --jobs: must be between 1 and 1024, got 0\n");
  EXPECT_EQ(error({"--launcher", "pbs"}), "error: --launcher pbs: expected slurm\n");
  EXPECT_EQ(error({"--shards", "2"}), "error: --shards: needs --launcher slurm\n");
  EXPECT_EQ(error({"--launcher-option", "x"}),
            "error: --launcher-option: needs --launcher slurm\n");
  EXPECT_EQ(
      error({"--launcher", "slurm", "--cell", "1/2"}),
      "error: --cell: cannot be combined with --launcher, whose tasks set --cell themselves\n");
  EXPECT_EQ(error({"--launcher", "slurm", "--shards", "9"}),
            "error: --shards: must be between 1 and 8, the cells, got 9\n");
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(SweepCommand, AFolderThatCannotBeWrittenIsNamed) {
  const std::string sweep = make_sweep();
  workspace_.write("out", "a file where the folder should be");
  const ProcessResult result = cli({"sweep", sweep});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.error,
              HasSubstr("error: " + path("out/cells") + ": cannot make the folder: "));
}

}  // namespace
}  // namespace dbsa
