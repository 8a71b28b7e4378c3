// Answers as tables: `run --answers`, `query --input --output`.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "config/gzip.h"
#include "icl/csv.h"
#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

using Cells = std::vector<std::string>;

std::vector<Cells> cells_of(const std::string& text, char delimiter = ',') {
  std::vector<Cells> rows;
  CsvReader reader(text, "table", delimiter);
  for (Cells row; reader.next(row).value();) rows.push_back(row);
  return rows;
}

class AnswersTest : public CliTest {
 protected:
  // Queries as CSV, with an id and a note; the third has no text.
  std::string make_table(int count) const {
    std::string text = "id,text,label,note\n";
    int row = 0;
    for (const json& query : json_lines(workspace_.read("queries.jsonl"))) {
      if (++row > count) break;
      text += std::to_string(row) + "00000000000000000000000000000," +
              (row == 3 ? "" : query.at("text").get<std::string>()) + "," +
              query.at("label").get<std::string>() + ",\"n, \"\"o\"\"\nte\"\n";
    }
    return workspace_.write("queries.csv", text);
  }

  // The program until a file has more than some lines, then killed.
  ProcessResult kill_at(const Words& words, const std::function<std::string()>& file,
                        int64_t lines = 20) const {
    Process process(command(words),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (lines_of(file()) <= lines && !process.ended() &&
           std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send_signal(SIGKILL);
    return process.wait();
  }
  static int64_t lines_of(const std::string& name) {
    std::ifstream file(name);
    int64_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }
  std::string journal_in_runs() const {
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(path("runs"), absent))
      if (entry.path().string().ends_with(".journal.jsonl")) return entry.path().string();
    return "";
  }
};

TEST_F(AnswersTest, RunWritesWhatItsRecordHas) {
  const std::string pipeline = make_pipeline();
  const std::string queries = make_table(5), table = path("out/answers.csv");
  const ProcessResult result =
      cli({"run", pipeline, "--set", "data.queries=" + queries, "--answers", table});
  EXPECT_EQ(result.exit_code, 2) << "of the row without a text";
  EXPECT_THAT(result.out, HasSubstr("\nanswers      " + table + "\n"));
  EXPECT_THAT(result.error,
              HasSubstr("the file has a column \"label\"; the answers' is \"answer_label\"\n"));
  const std::vector<Cells> rows = cells_of(workspace_.read("out/answers.csv"));
  const std::vector<Cells> input = cells_of(workspace_.read("queries.csv"));
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0], (Cells{"id", "text", "label", "note", "answer_label", "probability", "margin",
                            "runner_up", "abstained_label", "error"}));
  const json record = only_record();
  for (size_t row = 1; row < rows.size(); ++row) {
    ASSERT_EQ(rows[row].size(), 10u);
    EXPECT_EQ(Cells(rows[row].begin(), rows[row].begin() + 4), input[row]);
    const json& query = record.at("queries")[row - 1];
    if (row == 3) {
      EXPECT_EQ(Cells(rows[row].begin() + 4, rows[row].begin() + 9), Cells(5));
      EXPECT_EQ(rows[row][9], query.at("error").at("message"));
      EXPECT_THAT(rows[row][9], HasSubstr(queries + ":6: expected a text in field \"text\""));
      continue;
    }
    EXPECT_EQ(rows[row][4], query.at("label"));
    const double best = std::exp(query.at("log_probability").get<double>());
    const double second = std::exp(query.at("runner_up").at("log_probability").get<double>());
    EXPECT_NEAR(std::stod(rows[row][5]), best, 1e-6);
    EXPECT_NEAR(std::stod(rows[row][6]), best - second, 1e-6);
    EXPECT_EQ(rows[row][7], query.at("runner_up").at("label"));
    EXPECT_EQ(rows[row][8], "");
    EXPECT_EQ(rows[row][9], "");
  }
}

TEST_F(AnswersTest, ATableHasTheQueriesThatWereChosen) {
  const std::string pipeline = make_pipeline(24, 12);
  const std::string table = path("answers.jsonl.gz");
  const ProcessResult result = cli(
      {"run", pipeline, "--set", "data.query_count=4", "--answers", table, "--quiet", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(json::parse(result.out).at("answers"), table);
  const auto text = unpack_gzip(workspace_.read("answers.jsonl.gz"), table);
  ASSERT_TRUE(text.ok()) << text.error().message;
  const std::vector<json> rows = json_lines(*text);
  const json record = only_record();
  ASSERT_EQ(rows.size(), 4u);
  for (size_t row = 0; row < rows.size(); ++row) {
    const json& query = record.at("queries")[row];
    EXPECT_EQ(rows[row].at("text"), query.at("text"));
    EXPECT_EQ(rows[row].at("label"), query.at("expected"));
    EXPECT_EQ(rows[row].at("answer_label"), query.at("label"));
    EXPECT_EQ(rows[row].at("error"), nullptr);
  }
}

TEST_F(AnswersTest, AKilledRunContinuesToTheUndisturbedTable) {
  const std::string pipeline = make_pipeline(24, 800);
  const Words run = {"run",       pipeline,           "--set", "data.queries=" + make_table(800),
                     "--answers", path("answers.csv")};
  ASSERT_EQ(cli(run).exit_code, 2);
  const std::string undisturbed = workspace_.read("answers.csv");
  EXPECT_EQ(cells_of(undisturbed).size(), 801u);
  fs::remove(path("answers.csv"));
  ASSERT_EQ(kill_at(run, [&] { return journal_in_runs(); }).exit_code, -SIGKILL);
  EXPECT_FALSE(fs::exists(path("answers.csv"))) << "it appears whole";
  const ProcessResult resumed = cli(run);
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_THAT(resumed.error, testing::ContainsRegex("continuing after [0-9]+ of 800 answers"));
  EXPECT_EQ(workspace_.read("answers.csv"), undisturbed);
  EXPECT_EQ(journal_in_runs(), "");
}

TEST_F(AnswersTest, QueryAnswersAsRunDoes) {
  const std::string pipeline = make_pipeline(24, 30);
  const std::string queries = make_table(30);
  ASSERT_EQ(cli({"run", pipeline, "--set", "data.queries=" + queries, "--answers", path("run.csv")})
                .exit_code,
            2);
  const std::string expected = workspace_.read("run.csv");
  ProcessResult result =
      cli({"query", pipeline, "--input", queries, "--output", path("made/query.csv")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("answers    " + path("made/query.csv") + "\n"));
  EXPECT_THAT(result.error, HasSubstr("error: " + queries + ":6: expected a text in field"));
  EXPECT_THAT(result.error, HasSubstr("error: 1 of 30 queries was not answered\n"));
  EXPECT_EQ(workspace_.read("made/query.csv"), expected);
  EXPECT_THAT(result.error, testing::Not(HasSubstr("warning")));
  EXPECT_FALSE(fs::exists(path("made/query.csv.journal.jsonl")));
  // Standard streams, packed or not: the same bytes, except the name in the error.
  const std::string text = workspace_.read("queries.csv");
  for (const std::string& bytes : {text, pack_gzip(text).value()}) {
    result = cli({"query", pipeline, "--input", "-"}, {.input = bytes});
    EXPECT_EQ(result.exit_code, 2);
    std::string named = expected;
    named.replace(named.find(queries + ":6"), queries.size(), "standard input");
    EXPECT_EQ(result.out, named);
  }
  result = cli({"query", pipeline, "--input", queries, "--output", "-"});
  EXPECT_EQ(result.out, expected);
}

TEST_F(AnswersTest, ObjectsComeBackByteForByte) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const std::string object =
      "{\"id\": 123456789012345678901234567890, \"n\" : 1.50, \"text\":\"caf\\u00e9\"";
  const ProcessResult result =
      cli({"query", pipeline, "--input", "-"}, {.input = object + " }\r\n\nno JSON\n"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, testing::StartsWith(object + ",\"label\":\""));
  const size_t second = result.out.find('\n') + 1;
  EXPECT_THAT(
      result.out.substr(second),
      testing::StartsWith("{\"text\":\"no JSON\",\"label\":null,\"probability\":null,"
                          "\"margin\":null,\"runner_up\":null,\"abstained_label\":null,\"error\":"
                          "\"standard input:3: "
                          "expected JSON, found "));
}

TEST_F(AnswersTest, AKilledQueryContinuesUnlessSomethingChanged) {
  const std::string pipeline = make_pipeline(24, 400);
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const std::string input = make_table(400), output = path("answers.csv");
  const std::string journal = output + ".journal.jsonl";
  const Words query = {"query", pipeline, "--input", input, "--output", output};
  ASSERT_EQ(cli(query).exit_code, 2);
  const std::string undisturbed = workspace_.read("answers.csv");
  fs::remove(output);
  ASSERT_EQ(kill_at(query, [&] { return journal; }).exit_code, -SIGKILL);
  EXPECT_FALSE(fs::exists(output)) << "it appears whole";
  const std::string kept = workspace_.read("answers.csv.journal.jsonl");
  ASSERT_GE(lines_of(journal), 20);
  ASSERT_LT(lines_of(journal), 400);
  const auto again = [&](const Words& more, const std::string& rows = "") {
    workspace_.write("answers.csv.journal.jsonl", kept);
    const std::string before = workspace_.read("queries.csv");
    if (!rows.empty()) workspace_.write("queries.csv", rows);
    Words words = query;
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 2) << result.error;
    EXPECT_FALSE(fs::exists(journal));
    workspace_.write("queries.csv", before);
    return result.error;
  };
  EXPECT_THAT(again({}), testing::ContainsRegex("continuing after [0-9]+ of 400 answers"));
  EXPECT_EQ(workspace_.read("answers.csv"), undisturbed);
  // Another column is no other query: the answers are taken, the table is of the new file.
  const std::string rows = workspace_.read("queries.csv");
  std::string edited = rows;
  edited.replace(edited.find("n, \"\"o\"\""), 4, "N, \"");
  EXPECT_THAT(again({}, edited), HasSubstr("continuing after "));
  EXPECT_THAT(workspace_.read("answers.csv"), HasSubstr("N, \""));
  const std::string dropped = "answering all queries: the answers in " + journal +
                              " are of other queries, another pipeline or another pool\n";
  const auto starts_over = [&](const std::string& said) {
    EXPECT_THAT(said, HasSubstr(dropped));
    EXPECT_THAT(said, testing::Not(HasSubstr("continuing")));
  };
  starts_over(again({"--set", "selection.ratio=1.0"}));
  edited = rows;
  starts_over(again({}, edited.replace(edited.find(",\"n"), 0, "x")));
  starts_over(again({}, rows + "8,more,,\n"));
  const std::string fresh = again({"--fresh"});
  EXPECT_THAT(fresh, testing::Not(HasSubstr("continuing")));
  // The pool has changed.
  workspace_.write("pool.jsonl",
                   workspace_.read("pool.jsonl") + "{\"text\": \"new\", \"label\": \"gamma\"}\n");
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  starts_over(again({}));
}

// The answers are there, the table is not: the command is given again once there is room.
TEST_F(AnswersTest, ATableThatCannotBeWrittenCostsNoAnswer) {
  const std::string pipeline = make_pipeline(24, 400);
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const std::string input = make_table(400), output = path("answers.csv");
  const Words query = {"query", pipeline, "--input", input, "--output", output};
  Process process(command(query),
                  {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (lines_of(output + ".journal.jsonl") < 2 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  fs::create_directory(output);
  const ProcessResult failed = process.wait();
  EXPECT_EQ(failed.exit_code, 4);
  EXPECT_THAT(failed.error, HasSubstr(output + ": cannot rename to it: Is a directory"));
  fs::remove(output);
  const ProcessResult result = cli(query);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("continuing after 400 of 400 answers"));
  EXPECT_EQ(cells_of(workspace_.read("answers.csv")).size(), 401u);
}

TEST_F(AnswersTest, EveryRowMayBeFaulty) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const ProcessResult result =
      cli({"query", pipeline, "--input", "-"}, {.input = "id,text\n1,\n2,\n"});
  EXPECT_EQ(result.exit_code, 2);
  const std::string said =
      ": expected a text in field \"\"text\"\", found an empty one; fill it in or remove the "
      "record\"\n";
  EXPECT_EQ(result.out,
            "id,text,label,probability,margin,runner_up,abstained_label,error\n"
            "1,,,,,,,\"standard input:2" +
                said + "2,,,,,,,\"standard input:3" + said);
  const ProcessResult failed =
      cli({"query", pipeline, "--input", "-", "--set", "data.on_error=fail"},
          {.input = "id,text\n1,card\n2,\n"});
  EXPECT_EQ(failed.exit_code, 2);
  EXPECT_EQ(failed.out, "");
  EXPECT_THAT(failed.error, testing::StartsWith("error: standard input:3: expected a text"));
}

TEST_F(AnswersTest, WhatDoesNotGoTogetherIsRefused) {
  const std::string pipeline = make_pipeline();
  const std::string queries = make_table(3);
  const auto query = [&](const Words& more, const std::string& said, int code = 2) {
    Words words = {"query", pipeline};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, code);
    const bool as_json = std::find(more.begin(), more.end(), "--json") != more.end();
    EXPECT_EQ(result.out.empty(), !as_json) << result.out;
    EXPECT_EQ(result.error, "error: " + said + "\n");
  };
  query({"--output", path("a.csv")},
        "dbsa-pipe query: expected --input with --output and --fresh; `--input -` reads standard "
        "input");
  query({"card", "--input", queries}, "dbsa-pipe query: expected either TEXT or --input, got both");
  query({"--json", "--input", queries},
        "dbsa-pipe query: expected either --json or --input, got both; --output FILE.jsonl writes "
        "objects");
  query(
      {"--fresh", "--input", queries},
      "dbsa-pipe query: expected --output FILE with --fresh: answers are kept only beside a file");
  query({"--input", queries, "--output", path("a.txt")},
        "--output " + path("a.txt") +
            ": expected a name that ends in .csv, .tsv or .jsonl, or in one of them and .gz, found "
            "\".txt\"; rename it");
  query({"--input", queries, "--output", queries},
        "--output " + queries +
            ": expected another file than those that are read, found one of them; name another "
            "file");
  query({"--input", queries, "--output", path("pool.jsonl")},
        "--output " + path("pool.jsonl") +
            ": expected another file than those that are read, found one of them; name another "
            "file");
  fs::create_directory(path("b.csv"));
  query({"--input", queries, "--output", path("b.csv")},
        "--output " + path("b.csv") +
            ": expected a regular file or a new one, found another kind; name a file");
  workspace_.write("file", "");
  query({"--input", queries, "--output", path("file/a.csv")},
        "--output " + path("file/a.csv") + ": " + path("file") + " is no folder; name another one",
        4);
  query({"--input", path("none.csv")},
        path("none.csv") + ": cannot be opened: No such file or directory", 4);
  const ProcessResult run = cli({"run", pipeline, "--answers", "-"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.error, HasSubstr("error: --answers -: expected a name that ends in .csv"));
  EXPECT_FALSE(fs::exists(path("store")));
}

}  // namespace
}  // namespace dbsa
