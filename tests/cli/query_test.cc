// query: texts and JSON lines against an encoded pool.
#include <gmock/gmock.h>

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Lines of --json, without the names of their schema.
std::vector<json> bodies(const std::string& text) {
  std::vector<json> lines = json_lines(text);
  for (json& line : lines) {
    EXPECT_EQ(line.value("schema", ""), "answer");
    line.erase("schema");
    line.erase("schema_version");
  }
  return lines;
}

class QueryTest : public CliTest {
 protected:
  void SetUp() override {
    pipeline_ = make_pipeline();
    ASSERT_EQ(cli({"encode", pipeline_, "--quiet"}).exit_code, 0);
  }
  std::string pipeline_;
};

TEST_F(QueryTest, ATextGivesALabelAndItsLogProbability) {
  const ProcessResult result = cli({"query", pipeline_, "card lost"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out,
              testing::MatchesRegex("(alpha|beta|beta two|gamma)\t-?[0-9]+\\.[0-9]+\n"));
}

TEST_F(QueryTest, ATerminalIsToldMore) {
  const ProcessResult result = cli({"query", pipeline_, "card lost"}, {.terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* row :
       {"label      ", "runner-up  ", "blocks     3: 0, ", "tokens     ", "time       "})
    EXPECT_THAT(result.out, HasSubstr(row));
}

TEST_F(QueryTest, LinesAreAnsweredOneByOneAndIdsPassThrough) {
  const ProcessResult result =
      cli({"query", pipeline_, "--json"},
          {.input = "{\"text\": \"card\", \"id\": 7}\n\n"
                    "{\"text\": \"pin\", \"id\": {\"a\": [1]}, \"label\": \"alpha\"}\r\n"
                    "{\"text\": \"fee\"}"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const std::vector<json> answers = json_lines(result.out);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].at("id"), 7);
  EXPECT_EQ(answers[0].at("expected"), nullptr);
  EXPECT_EQ(answers[0].at("correct"), nullptr);
  EXPECT_EQ(answers[1].at("id"), json::parse("{\"a\": [1]}"));
  EXPECT_EQ(answers[1].at("expected"), "alpha");
  EXPECT_EQ(answers[1].at("correct"), answers[1].at("label") == "alpha");
  EXPECT_FALSE(answers[2].contains("id"));
}

// A number that no double holds, spaces, escapes: the bytes that came in go out.
TEST_F(QueryTest, AnIdComesBackByteForByte) {
  const std::vector<std::string> ids = {"123456789012345678901234567890",
                                        "1.10",
                                        "-0",
                                        "1e2",
                                        "\"a\\u00e9\\\"b\"",
                                        "[1, 2.50]",
                                        "{\"b\" : 1, \"a\":2}",
                                        "true",
                                        "\"\"",
                                        "\"x}, {\\\\\""};
  std::string input;
  for (const std::string& id : ids) {
    input += "{\"text\": \"card\", \"id\" : " + id + " , \"other\": {\"id\": 5}}\n";
    input += "{\"\\u0069d\": 1, \"id\":" + id + "}\n";  // the last one counts, also of an error
  }
  input += "{\"text\": \"card\", \"id\": null}\n{\"text\": \"card\"}\n";
  const ProcessResult result = cli({"query", pipeline_, "--json"}, {.input = input});
  EXPECT_EQ(result.exit_code, 2);
  std::vector<std::string> lines;
  std::istringstream out(result.out);
  for (std::string line; std::getline(out, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 2 * ids.size() + 2);
  const std::string names = "\"schema\":\"answer\",\"schema_version\":1";
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_THAT(lines[2 * i],
                testing::StartsWith("{\"id\":" + ids[i] + "," + names + ",\"text\":\"card\","));
    EXPECT_THAT(lines[2 * i + 1], testing::StartsWith("{\"id\":" + ids[i] + "," + names +
                                                      ",\"line\":" + std::to_string(2 * i + 2) +
                                                      ",\"error\":{\"code\":\"bad_field\","));
  }
  EXPECT_THAT(lines[2 * ids.size()], testing::StartsWith("{" + names + ",\"text\":"));
  EXPECT_THAT(lines[2 * ids.size() + 1], testing::StartsWith("{" + names + ",\"text\":"));
}

TEST_F(QueryTest, OnErrorFailEndsAtTheFirstBadLine) {
  const std::string input = "{\"text\": \"card\"}\n{\"txt\": 1, \"id\": 7}\n{\"text\": \"pin\"}\n";
  const std::string told =
      "standard input:2: expected a field \"text\", found \"id\", \"txt\"; did you mean \"txt\"? "
      "Name the "
      "fields in [data] text_field and label_field";
  ProcessResult result =
      cli({"query", pipeline_, "--json", "--set", "data.on_error=fail"}, {.input = input});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: " + told + "\n");
  const std::vector<json> answers = bodies(result.out);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1],
            (json{{"id", 7}, {"line", 2}, {"error", {{"code", "bad_field"}, {"message", told}}}}));
  result = cli({"query", pipeline_, "--set", "data.on_error=fail"}, {.input = input});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: " + told + "\n");
}

// A peer that goes away, of a plugin for one, is an error of the write that notices, not the end.
TEST_F(QueryTest, ABrokenPipeDoesNotEndTheProcess) {
  Process query(command({"query", pipeline_}),
                {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  query.write_input("{\"text\": \"card\"}\n");
  query.read_line();
  query.send_signal(SIGPIPE);
  query.write_input("{\"text\": \"pin\"}\n");
  const ProcessResult result = query.wait();
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("\t"));
}

// Weights that are read in place: nothing can be computed without them.
TEST_F(QueryTest, AModelThatIsCutShortIsNamed) {
  Process query(command({"query", pipeline_}),
                {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  query.write_input("{\"text\": \"card\"}\n");
  query.read_line();
  std::filesystem::resize_file(path("model/model.safetensors"), 4096);
  query.write_input("{\"text\": \"pin\"}\n");
  const ProcessResult result = query.wait();
  EXPECT_EQ(result.exit_code, 4) << result.error;
  EXPECT_THAT(result.error, HasSubstr(path("model/model.safetensors") + ": "));
}

// Blocks can be computed again.
TEST_F(QueryTest, PacksThatAreCutShortAreEncodedAgain) {
  Process query(command({"query", pipeline_, "--set", "selection.ratio=1.0"}),
                {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
  query.write_input("{\"text\": \"card\"}\n");
  const std::string first = query.read_line();
  for (const auto& entry : std::filesystem::directory_iterator(path("store/packs")))
    std::filesystem::resize_file(entry.path(), 4096);
  query.write_input("{\"text\": \"card\"}\n");
  const ProcessResult result = query.wait();
  // The planes were checked before, so the moment that they are read again decides.
  if (result.exit_code == 0)
    EXPECT_EQ(result.out, first + "\n");
  else
    EXPECT_THAT(result.error, HasSubstr(path("store/packs") + "/pack-00000001.h5: became shorter"));
  EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 4) << result.exit_code << result.error;
}

TEST_F(QueryTest, WithoutJsonEachLineIsALabel) {
  const ProcessResult result =
      cli({"query", pipeline_}, {.input = "{\"text\": \"card\"}\n{\"text\": \"pin\"}\n"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\t'), 2);
}

TEST_F(QueryTest, NoInputIsNoAnswer) {
  const ProcessResult result = cli({"query", pipeline_, "--json"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "");
}

TEST_F(QueryTest, LinesMayBeLong) {
  const std::string id(200000, 'x');
  const ProcessResult result =
      cli({"query", pipeline_, "--json"},
          {.input = R"({"text": "card", "id": ")" + id + "\"}\n{\"text\": \"pin\"}\n"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const std::vector<json> answers = json_lines(result.out);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].at("id"), id);
}

TEST_F(QueryTest, ABadLineIsNamedAndTheOthersAreAnswered) {
  const std::string deep =
      "{\"text\": \"a\", \"id\": " + std::string(50000, '[') + std::string(50000, ']') + "}";
  struct Case {
    std::string line, code, message;
  };
  const std::vector<Case> cases = {
      {"{\"text\": ", "malformed", "not JSON; expected one object a line"},
      {"[1]", "malformed", "expected an object, found an array"},
      {"{\"txt\": \"a\"}", "bad_field",
       "expected a field \"text\", found \"txt\"; did you mean \"txt\"? Name the fields in [data] "
       "text_field and label_field"},
      {"{\"text\": \"a\", \"Label\": \"alpha\"}", "bad_label",
       "expected a field \"label\", found \"Label\", \"text\"; did you mean \"Label\"? Name the "
       "fields in [data] text_field and label_field"},
      {"{\"text\": \"a\", \"label\": \"alpha\u00a0\"}", "bad_label",
       "expected a label without white space or invisible characters around it, found "
       "\"alpha\\u00A0\"; remove U+00A0"},
      {"{\"text\": 3}", "bad_field",
       "\"text\": expected a string that is not empty, found an integer 3"},
      {"{\"text\": \"\"}", "empty_text",
       "\"text\": expected a string that is not empty, found a string \"\""},
      {"{\"text\": \" \\t\"}", "empty_text",
       "\"text\": expected a string that is not empty, found a string \" \\t\""},
      {"{\"text\": \"caf\xE9\"}", "not_utf8",
       "expected UTF-8, found the byte 0xE9 at byte 14 of the line"},
      {"{\"text\": \"a\", \"label\": 1}", "bad_label",
       "\"label\": expected a string, found an integer 1"},
      {"{\"text\": \"a\", \"label\": [\"b\", 1]}", "bad_label",
       "\"label\": expected a string in the array, found an integer 1"},
      {deep, "malformed", "JSON nested deeper than 64 levels; expected an object with a text"},
      {std::string(50000, '['), "malformed",
       "JSON nested deeper than 64 levels; expected an object with a text"},
  };
  for (const auto& [line, code, message] : cases) {
    const std::string told = "standard input:2: " + message;
    const std::string input = "{\"text\": \"card\"}\n" + line + "\n{\"text\": \"pin\"}\n";
    for (const char* together : {"1", "4"}) {
      const ProcessResult result =
          cli({"query", pipeline_, "--json", "--set", std::string("model.batch_size=") + together},
              {.input = input});
      EXPECT_EQ(result.exit_code, 2) << told;
      EXPECT_EQ(result.error, "error: 1 of 3 lines was not answered\n");
      const std::vector<json> answers = bodies(result.out);
      ASSERT_EQ(answers.size(), 3u);
      EXPECT_EQ(answers[0].at("text"), "card");
      EXPECT_EQ(answers[1], (json{{"line", 2}, {"error", {{"code", code}, {"message", told}}}}));
      EXPECT_EQ(answers[2].at("text"), "pin");
    }
    // Without --json an empty line keeps its place.
    const ProcessResult plain = cli({"query", pipeline_}, {.input = input});
    EXPECT_EQ(plain.exit_code, 2);
    EXPECT_EQ(plain.error, "error: " + told + "\nerror: 1 of 3 lines was not answered\n");
    EXPECT_THAT(plain.out, testing::MatchesRegex("[a-z ]+\t-?[0-9.]+\n\n[a-z ]+\t-?[0-9.]+\n"));
  }
}

TEST_F(QueryTest, ALineThatIsTooLongIsSkipped) {
  std::string line = R"({"text": "card", "id": ")";
  line += std::string(4 << 20, 'x') + "\"}";
  const ProcessResult result =
      cli({"query", pipeline_, "--json"},
          {.input = "{\"text\": \"card\"}\n" + line + "\n{\"text\": \"pin\"}\n" + line});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: 2 of 4 lines were not answered\n");
  const std::vector<json> answers = bodies(result.out);
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[1],
            (json{{"line", 2},
                  {"error",
                   {{"code", "malformed"},
                    {"message",
                     "standard input:2: expected a line of at most 4194304 bytes, found a longer "
                     "one; write one object a line"}}}}));
  EXPECT_EQ(answers[2].at("text"), "pin");
  EXPECT_EQ(answers[3].at("line"), 4);
}

// What the model cannot take is that line's fault.
TEST_F(QueryTest, ATextThatIsTooLongForTheModelIsNamed) {
  json config = json::parse(workspace_.read("model/config.json"));
  config["max_position_embeddings"] = 1000;
  workspace_.write("model/config.json", config.dump());
  const ProcessResult result = cli(
      {"query", pipeline_, "--json"},
      {.input = "{\"text\": \"" + std::string(500, 'a') + "\", \"id\": 7}\n{\"text\": \"pin\"}\n"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: 1 of 2 lines was not answered\n");
  const std::vector<json> answers = bodies(result.out);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0],
            (json{{"id", 7},
                  {"line", 1},
                  {"error",
                   {{"code", "too_long"},
                    {"message",
                     "standard input:1: expected a prompt of at most 1000 positions, the model's, "
                     "found 1126, of which the query takes 515; shorten the text, write "
                     "data.truncate = \"left\" or \"right\", or select fewer blocks"}}}}));
  EXPECT_EQ(answers[1].at("text"), "pin");
  // What free answers may take counts, and is named.
  const ProcessResult free = cli({"query", pipeline_, "pin", "--set", "decoding.method=free",
                                  "--set", "decoding.max_tokens=900"});
  EXPECT_EQ(free.exit_code, 2);
  EXPECT_THAT(free.error, HasSubstr(" and its answer up to 900; lower decoding.max_tokens, shorten "
                                    "the text, write data.truncate"));
}

TEST_F(QueryTest, LinesAnsweredTogetherGetTheAnswersOfLinesAnsweredAlone) {
  std::string input;
  for (int i = 0; i < 10; ++i)
    input += json{{"text", "card " + std::to_string(i)}, {"id", i}}.dump() + (i < 9 ? "\n" : "");
  std::vector<json> expected;
  for (const char* together : {"1", "0", "3", "100"}) {
    const ProcessResult result =
        cli({"query", pipeline_, "--json", "--set", std::string("model.batch_size=") + together},
            {.input = input});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    std::vector<json> answers = json_lines(result.out);
    for (json& answer : answers) answer.erase("seconds");
    if (expected.empty()) expected = answers;
    ASSERT_EQ(answers.size(), 10u);
    EXPECT_EQ(answers, expected) << together;
  }
}

// The pool has all that an answer needs.
TEST_F(QueryTest, NoDataIsRead) {
  const std::string before = cli({"query", pipeline_, "card lost"}).out;
  for (const char* file : {"pool.jsonl", "queries.jsonl"}) std::filesystem::remove(path(file));
  const ProcessResult result = cli({"query", pipeline_, "card lost"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.out, before);
  EXPECT_EQ(cli({"store", "list", pipeline_}).exit_code, 0);
  EXPECT_EQ(cli({"validate", pipeline_}).exit_code, 4);
}

TEST_F(QueryTest, WarnsOfDataThatHasChangedSinceThePoolWasEncoded) {
  namespace fs = std::filesystem;
  const auto touch = [&] {
    fs::last_write_time(path("pool.jsonl"),
                        fs::file_time_type::clock::now() + std::chrono::seconds(5));
  };
  EXPECT_EQ(cli({"query", pipeline_, "card"}).error, "");
  touch();
  EXPECT_EQ(cli({"query", pipeline_, "card"}).error, "") << "a newer time is no change";
  workspace_.write("pool.jsonl",
                   workspace_.read("pool.jsonl") + "{\"text\": \"more\", \"label\": \"alpha\"}\n");
  touch();
  const ProcessResult result = cli({"query", pipeline_, "card"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error, testing::StartsWith("warning: " + path("pool.jsonl") +
                                                " has changed since the pool was encoded, "));
}

TEST_F(QueryTest, AnEmptyTextIsRefused) {
  for (const char* text : {"", "   ", "\t\n"}) {
    const ProcessResult result = cli({"query", pipeline_, text});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.error, "error: TEXT is empty or white space; give the text to label\n");
  }
}

TEST_F(QueryTest, APoolThatWasNotEncodedIsNamed) {
  const ProcessResult result =
      cli({"query", pipeline_, "card", "--set", "block_grouper.block_size=3"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, testing::StartsWith("error: " + pipeline_ +
                                                ":18:1: kv_store.path: no "
                                                "pool was encoded with these settings ("));
  EXPECT_THAT(result.error, HasSubstr("run `dbsa-pipe encode` first\n"));
}

}  // namespace
}  // namespace dbsa
