// dbsa-pipe report, end to end.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "config/gzip.h"
#include "icl/csv.h"
#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"
#include "tests/report/records.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class ReportCommand : public CliTest {
 protected:
  void SetUp() override {
    if (run_process({"/usr/bin/env", "gnuplot", "--version"}).exit_code != 0)
      GTEST_SKIP() << "gnuplot is not installed: package gnuplot-nox";
  }
};

TEST_F(ReportCommand, RealRunsBecomeAPage) {
  make_pipeline();
  const std::string pipeline = edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  for (const char* seed : {"1", "2"})
    for (const char* size : {"12", "24"}) {
      const ProcessResult ran =
          cli({"run", pipeline, "--quiet", "--set", "data.labels=" + path("pool.jsonl"), "--set",
               std::string("data.seed=") + seed, "--set",
               std::string("data.demonstration_count=") + size});
      ASSERT_EQ(ran.exit_code, 0) << ran.error;
    }
  const ProcessResult result = cli({"report", path("runs")});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("data.demonstration_count=12     2"));
  EXPECT_THAT(result.error, HasSubstr("report     "));
  const std::string page = workspace_.read("runs/report/report.html");
  EXPECT_THAT(page, HasSubstr("4 records; 2 groups."));
  EXPECT_THAT(page, HasSubstr("demonstrations in the pool"));
  EXPECT_THAT(workspace_.read("runs/report/report.md"), HasSubstr("### Accuracy"));
  EXPECT_THAT(workspace_.read("runs/report/report.csv"),
              HasSubstr("axis data.demonstration_count"));

  // The report's own folder does not come back as input.
  const ProcessResult again = cli({"report", path("runs"), "--json", "--output", path("again")});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  const json out = json::parse(again.out);
  EXPECT_EQ(schema_faults("report.schema.json", out), "");
  EXPECT_EQ(out.at("studies")[0].at("groups").size(), 2u);
  EXPECT_EQ(out.at("studies")[0].at("groups")[0].at("runs"), 2);
  EXPECT_EQ(workspace_.read("again/report.html"), page);
}

TEST_F(ReportCommand, ASweepIsReportedBesideItself) {
  const std::string sweep = write_sweep(workspace_, "sweep", 2, {8});
  const ProcessResult result = cli({"report", sweep, "--title", "Of <masks>", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.out, HasSubstr("DBSA · size 200"));
  EXPECT_THAT(result.out, HasSubstr("1 cell failed or missing"));
  EXPECT_THAT(workspace_.read("sweep/report/report.html"), HasSubstr("<h1>Of &lt;masks&gt;</h1>"));
}

TEST_F(ReportCommand, ARecordIsReportedBesideItsFile) {
  const std::string record = workspace_.write("runs/one.json", make_record({}).dump());
  ASSERT_EQ(cli({"report", record}).exit_code, 0);
  EXPECT_TRUE(fs::exists(path("runs/report/report.html")));
}

TEST_F(ReportCommand, WithoutGnuplotItSaysWhatToInstallAndWritesTheTables) {
  const std::string sweep = write_sweep(workspace_, "sweep", 1);
  const ProcessOptions no_path = {.environment = {{"PATH", "/nowhere"}}};
  const ProcessResult result = cli({"report", sweep}, no_path);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error,
              HasSubstr("warning: gnuplot: not found; it draws the plots of a report: install the "
                        "package gnuplot-nox; the report has no plots (--no-plots leaves them out "
                        "without a warning)\n"));
  const std::string page = workspace_.read("sweep/report/report.html");
  EXPECT_THAT(page, Not(HasSubstr("<figure>")));
  EXPECT_THAT(page, HasSubstr("<table"));
  const ProcessResult chosen = cli({"report", sweep, "--no-plots"}, no_path);
  ASSERT_EQ(chosen.exit_code, 0);
  EXPECT_THAT(chosen.error, Not(HasSubstr("gnuplot")));
  EXPECT_EQ(workspace_.read("sweep/report/report.html"), page);
}

TEST_F(ReportCommand, SettingsForGnuplotInTheEnvironmentChangeNothing) {
  const std::string sweep = write_sweep(workspace_, "sweep", 1);
  ASSERT_EQ(cli({"report", sweep, "--quiet"}).exit_code, 0);
  const std::string page = workspace_.read("sweep/report/report.html");
  EXPECT_THAT(page, HasSubstr("<figure>"));
  for (const char* terminal : {"qt", "x11", "no-such-terminal"}) {
    const ProcessResult result =
        cli({"report", sweep, "--quiet"},
            {.environment = {{"GNUTERM", terminal}, {"GNUPLOT_LIB", "/nowhere"}}});
    EXPECT_EQ(result.exit_code, 0) << terminal;
    EXPECT_EQ(result.error, "") << terminal;
    EXPECT_EQ(workspace_.read("sweep/report/report.html"), page) << terminal;
  }
}

// Nothing but regular files is read, and the rest is reported.
TEST_F(ReportCommand, RecordsThatCannotBeReadAreWarnings) {
  workspace_.write("runs/a.json", make_record({}).dump());
  fs::create_symlink("nowhere.json", path("runs/link.json"));
  fs::create_symlink("loop.json", path("runs/loop.json"));
  ASSERT_EQ(::mkfifo(path("runs/pipe.json").c_str(), 0600), 0);
  const ProcessResult result = cli({"report", path("runs"), "--no-plots", "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error,
            "warning: " + path("runs/link.json") +
                ": cannot be opened: No such file or directory; left out\nwarning: " +
                path("runs/loop.json") +
                ": cannot be opened: Too many levels of symbolic links; left out\nwarning: " +
                path("runs/pipe.json") +
                ": expected a regular file, found a named pipe; name a regular file; left out\n");
  EXPECT_THAT(workspace_.read("runs/report/report.md"), HasSubstr("## Left out"));
  // What the user names is meant.
  EXPECT_EQ(cli({"report", path("runs/a.json"), path("runs/pipe.json"), "--no-plots"}).exit_code,
            4);
  EXPECT_EQ(cli({"report", path("runs/loop.json"), "--no-plots"}).exit_code, 4);
}

TEST_F(ReportCommand, BadInputIsNamedAndNothingIsWritten) {
  workspace_.write("runs/a.json", make_record({}).dump());
  const std::string bad = workspace_.write("runs/b.json", "{}");
  const ProcessResult result = cli({"report", path("runs"), path("none")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.error,
            "error: " + bad +
                ": expected a result record of `dbsa-pipe run`, got other JSON: its program.name "
                "is not \"dbsa-pipe\", or it has no schema_version\nerror: " +
                path("none") +
                ": expected a folder of a sweep, a folder of result records or a record, but "
                "there is nothing\n");
  EXPECT_FALSE(fs::exists(path("runs/report")));
  EXPECT_EQ(cli({"report", path("none")}).exit_code, 4);
}

// A record that was cut short, beside whole ones.
TEST_F(ReportCommand, ADamagedRecordIsAWarning) {
  workspace_.write("runs/a.json", make_record({}).dump());
  const std::string cut = workspace_.write("runs/b.json", make_record({}).dump().substr(0, 500));
  const ProcessResult result = cli({"report", path("runs"), "--no-plots", "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error,
            "warning: " + cut +
                ": expected a result record of `dbsa-pipe run`, got what is no JSON at "
                "byte 501; the file is damaged or cut short; left out\n");
  const std::string text = workspace_.read("runs/report/report.md");
  EXPECT_THAT(text, HasSubstr("## Left out"));
  EXPECT_THAT(text, HasSubstr("got what is no JSON at byte 501"));
}

// A sweep of two methods and two sizes, in long form.
TEST_F(ReportCommand, QueriesAreATableOfTheirOwn) {
  const std::string sweep = write_sweep(workspace_, "sweep", 1);
  json record = json::parse(workspace_.read("sweep/records/0001.json"));
  json& query = record.at("queries")[1];
  query = {{"line", 9},
           {"text", "=a; \"b\"\nc"},
           {"expected", nullptr},
           {"correct", nullptr},
           {"error", {{"code", "too_long"}, {"message", "q.csv:9: too long"}}}};
  workspace_.write("sweep/records/0001.json", record.dump());
  const ProcessResult result =
      cli({"report", sweep, "--no-plots", "--queries", path("queries.csv.gz")});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.error, HasSubstr("queries    " + path("queries.csv.gz") + "\n"));
  const auto text = unpack_gzip(workspace_.read("queries.csv.gz"), "queries.csv.gz");
  ASSERT_TRUE(text.ok()) << text.error().message;
  CsvReader reader(*text, "queries", ',');
  std::vector<std::vector<std::string>> rows;
  for (std::vector<std::string> row; reader.next(row).value();) rows.push_back(row);
  ASSERT_EQ(rows.size(), 1u + 4 * kRecordQueries);
  EXPECT_EQ(rows[0],
            (std::vector<std::string>{"study", "group", "axis method", "axis size", "data_seed",
                                      "grouper_seed", "record", "line", "text", "expected", "label",
                                      "abstained_label", "probability", "correct", "error"}));
  std::map<std::vector<std::string>, int64_t> of_cell;
  for (size_t i = 1; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), rows[0].size());
    ++of_cell[{rows[i][2], rows[i][3]}];
    if (rows[i][7] == "9" && !rows[i][14].empty()) {
      EXPECT_EQ(
          std::vector<std::string>(rows[i].begin() + 8, rows[i].end()),
          (std::vector<std::string>{"'=a; \"b\"\nc", "", "", "", "", "", "q.csv:9: too long"}));
      continue;
    }
    EXPECT_EQ(rows[i][8], "card " + rows[i][7] + " lost");
    EXPECT_EQ(rows[i][9], "alpha");
    EXPECT_EQ(rows[i][12], "0.606531");
    EXPECT_EQ(rows[i][13], rows[i][10] == "alpha" ? "yes" : "no");
    EXPECT_THAT(rows[i][6], testing::StartsWith(sweep + "/records/"));
  }
  EXPECT_EQ(of_cell.size(), 4u);
  for (const auto& [cell, count] : of_cell) EXPECT_EQ(count, kRecordQueries);

  // The same as JSON Lines, whose texts are as they are.
  ASSERT_EQ(cli({"report", sweep, "--no-plots", "--queries", path("queries.jsonl")}).exit_code, 0);
  const std::vector<json> lines = json_lines(workspace_.read("queries.jsonl"));
  ASSERT_EQ(lines.size() + 1, rows.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].size(), rows[0].size());
    EXPECT_EQ(lines[i].at("axis method"), rows[i + 1][2]);
    EXPECT_EQ(std::to_string(lines[i].at("line").get<int>()), rows[i + 1][7]);
    if (lines[i].at("error").is_null()) {
      EXPECT_EQ(lines[i].at("text"), rows[i + 1][8]);
      EXPECT_EQ(lines[i].at("correct"), rows[i + 1][13] == "yes");
      EXPECT_NEAR(lines[i].at("probability").get<double>(), 0.606531, 1e-6);
    } else {
      EXPECT_EQ(lines[i].at("text"), "=a; \"b\"\nc");
      EXPECT_TRUE(lines[i].at("label").is_null());
    }
  }

  // A withheld answer is no fault.
  record.at("queries")[1] = record.at("queries")[0];
  record.at("queries")[1]["label"] = nullptr;
  record.at("queries")[1]["abstained_label"] = "beta";
  workspace_.write("sweep/records/0001.json", record.dump());
  const ProcessResult withheld =
      cli({"report", sweep, "--no-plots", "--queries", path("withheld.jsonl")});
  ASSERT_EQ(withheld.exit_code, 0) << withheld.error;
  EXPECT_THAT(workspace_.read("withheld.jsonl"),
              HasSubstr("\"label\":null,\"abstained_label\":\"beta\""));

  const ProcessResult refused = cli({"report", sweep, "--queries", path("queries.tsv")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.error, "error: --queries " + path("queries.tsv") +
                               ": expected a name that ends in .csv or .jsonl, or in these and "
                               ".gz, found another; rename it\n");
}

TEST_F(ReportCommand, TheCommandLine) {
  const ProcessResult none = cli({"report"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.error,
            "error: dbsa-pipe report: missing argument, expected PATH...; see `dbsa-pipe report "
            "--help`\n");
  const ProcessResult help = cli({"report", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("Usage: dbsa-pipe report PATH... [options]"));
  workspace_.write("file", "");
  const std::string record = workspace_.write("one.json", make_record({}).dump());
  const ProcessResult refused = cli({"report", record, "--output", path("file/inside")});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.error, HasSubstr("file/inside: cannot make the folder"));
}

}  // namespace
}  // namespace dbsa
