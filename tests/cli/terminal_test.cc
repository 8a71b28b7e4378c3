// What is drawn on a terminal, and that nothing is drawn elsewhere.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::Not;
using TerminalTest = CliTest;

std::string without_styles(const std::string& line) {
  return std::regex_replace(line, std::regex("\x1b\\[[0-9]+m"), "");
}

TEST_F(TerminalTest, PipedOutputHasNoEscapeCodes) {
  const std::string pipeline = make_pipeline();
  for (const Words& words :
       {Words{"--help"}, Words{"inspect"}, Words{"run", pipeline}, Words{"validate", pipeline},
        Words{"query", pipeline, "card"}, Words{"store", "list", pipeline}, Words{"nonsense"}}) {
    const ProcessResult result = cli(words);
    EXPECT_THAT(result.out, Not(HasSubstr("\x1b"))) << words.front();
    EXPECT_THAT(result.error, Not(HasSubstr("\x1b"))) << words.front();
    EXPECT_THAT(result.out + result.error, Not(HasSubstr("\r"))) << words.front();
  }
}

TEST_F(TerminalTest, ATerminalGetsColoursAndProgressInPlace) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result =
      cli({"run", pipeline}, {.environment = {{"TERM", "xterm"}}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("\x1b[1m"));
  EXPECT_THAT(result.out, HasSubstr("\r\x1b[Kencoding  "));
  EXPECT_THAT(result.out, HasSubstr("\r\x1b[Kanswering "));
  EXPECT_THAT(result.out, HasSubstr("record       "));
}

// Progress is then redrawn over blanks.
TEST_F(TerminalTest, NoColorTakesAllEscapeCodesAway) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli(
      {"run", pipeline}, {.environment = {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("\rencoding  "));
  EXPECT_THAT(result.out, testing::ContainsRegex("\r +\ranswering "));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
  const ProcessResult coloured = cli(
      {"run", pipeline}, {.environment = {{"TERM", "xterm"}, {"NO_COLOR", ""}}, .terminal = true});
  EXPECT_THAT(coloured.out, HasSubstr("\x1b[1m"));  // an empty variable says nothing
}

TEST_F(TerminalTest, ADumbTerminalGetsPlainLines) {
  const std::string pipeline = make_pipeline();
  for (const char* kind : {"dumb", ""})
    for (const Words& words : {Words{"run", pipeline}, Words{"inspect"}, Words{"nonsense"},
                               Words{"query", pipeline, "card"}, Words{"--help"}}) {
      const ProcessResult result = cli(words, {.environment = {{"TERM", kind}}, .terminal = true});
      EXPECT_THAT(result.out, Not(HasSubstr("\x1b"))) << words.front();
      // The terminal writes a line's end as \r\n; nothing goes back to the start of one.
      EXPECT_THAT(result.out, Not(testing::ContainsRegex("\r[^\n]"))) << words.front();
    }
}

// What is counted is the last thing to give way.
TEST_F(TerminalTest, ProgressOfANarrowTerminalShowsWholeCounts) {
  const std::string pipeline = make_pipeline(24, 60);
  for (const unsigned short columns : {12, 20, 24, 40}) {
    const ProcessResult result =
        cli({"run", pipeline}, {.environment = {{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}},
                                .terminal = true,
                                .columns = columns});
    EXPECT_EQ(result.exit_code, 0);
    const std::string mark = "\r\x1b[K";
    size_t drawn = 0;
    for (size_t at = result.out.find(mark); at != result.out.npos; at = result.out.find(mark, at)) {
      at += mark.size();
      const std::string line = result.out.substr(at, result.out.find_first_of("\r\n", at) - at);
      if (!line.starts_with("answering") && line.find("/60") == line.npos) continue;
      EXPECT_THAT(line, testing::ContainsRegex("(^|[^0-9])[0-9]+/60([^0-9]|$)")) << columns;
      ++drawn;
    }
    EXPECT_GT(drawn, 0u) << columns;
  }
}

TEST_F(TerminalTest, ProgressNeverWrapsTheLine) {
  const std::string pipeline = make_pipeline(24, 40);
  const ProcessResult result =
      cli({"run", pipeline},
          {.environment = {{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  size_t drawn = 0;
  const std::string mark = "\r\x1b[K";
  for (size_t at = result.out.find(mark); at != result.out.npos; at = result.out.find(mark, at)) {
    at += mark.size();
    const std::string line =
        without_styles(result.out.substr(at, result.out.find_first_of("\r\n", at) - at));
    const auto cells =
        std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LT(cells, 100) << line;
    ++drawn;
  }
  EXPECT_GT(drawn, 2u);
}

TEST_F(TerminalTest, TablesFitTheTerminal) {
  const ProcessResult result =
      cli({"inspect", "hdf5"}, {.environment = {{"NO_COLOR", "1"}}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  std::string table = result.out.substr(result.out.find("key "));
  for (size_t at = 0; at < table.size(); at = table.find('\n', at) + 1)
    EXPECT_LE(table.find('\r', at) - at, 100u) << table.substr(at);
}

TEST_F(TerminalTest, QuietLeavesWarningsOnStandardError) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"run", pipeline, "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.out, HasSubstr("accuracy "));
  EXPECT_THAT(cli({"run", pipeline, "--quiet", "--set", "data.query_count=1000"}).error,
              testing::MatchesRegex("warning: [^\n]*data.query_count[^\n]*is 1,000, and there "
                                    "are [0-9]+ queries\n"));
}

TEST_F(TerminalTest, TextFromADataFileCannotDriveTheTerminal) {
  const std::string pipeline = make_pipeline();
  workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": \"x\\u001b[31mred\"}\n");
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const ProcessResult result = cli({"query", pipeline, "a"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, testing::StartsWith("x\\x1b[31mred\t"));
}

// In every stream, whether a terminal or not; only our own colours are sent.
TEST_F(TerminalTest, ForeignTextIsShownNotSent) {
  const std::string pipeline = make_pipeline();
  const std::string label = "x\\u001b[31m\\u009b2J\\u202ey\\u007f";
  workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": \"" + label + "\"}\n");
  const std::string shown = "x\\x1b[31m\\u009b2J\\u202ey\\u007f";
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const ProcessOptions terminal = {.environment = {{"TERM", "xterm"}}, .terminal = true};
  const ProcessResult coloured = cli({"query", pipeline, "a"}, terminal);
  EXPECT_THAT(coloured.out, HasSubstr("label      \x1b[1m" + shown + "\x1b[0m  (100.0 %)\r\n"));
  EXPECT_THAT(coloured.out, Not(HasSubstr("\u009b")));
  EXPECT_THAT(coloured.out, Not(HasSubstr("\u202e")));
  // The same JSON, with what is not ASCII's own escaped.
  const ProcessResult data = cli({"query", pipeline, "a", "--json"});
  EXPECT_THAT(data.out, HasSubstr("\"label\":\"x\\u001b[31m\\u009b2J\\u202ey\\u007f\""));
  EXPECT_EQ(json_lines(data.out).front().at("label"), "x\x1b[31m\u009b2J\u202ey\x7f");
}

TEST_F(TerminalTest, NamesOfFilesAreShownNotSent) {
  const ProcessResult result = cli({"validate", path("a\x1b]0;title\x07\x9b\xe2\x80\xae.toml")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: " + path("a\\x1b]0;title\\x07\\x9b\\u202e.toml") +
                              ": cannot be read: its path is not UTF-8 text; rename the file or "
                              "the folder around it\n");
  const ProcessResult word = cli({"val\u009bidate\x1b"});
  EXPECT_THAT(word.error, testing::StartsWith("error: unknown command \"val\\u009bidate\\u001b\""));
}

TEST_F(TerminalTest, WhatAPluginSaysOfItselfIsShownNotSent) {
  std::filesystem::copy_file(std::string(DBSA_PLUGIN_DIR) + "/dbsa_retriever_all.plugin.toml",
                             path("bm25.plugin.toml"));
  std::filesystem::copy_file(std::string(DBSA_PLUGIN_DIR) + "/dbsa_retriever_all.so",
                             path("bm25.so"));
  std::string manifest = workspace_.read("bm25.plugin.toml");
  const size_t at = manifest.find("summary = \"") + 11;
  ASSERT_NE(at, 10u);
  manifest.insert(at, "\\u001b[2J\\u009b\\u202eno\xc2\x9b ");
  const size_t id = manifest.find("dbsa.retriever.all");
  manifest.replace(id, 18, "test.retriever.foreign");
  workspace_.write("bm25.plugin.toml", manifest);
  const std::string shown = "\\x1b[2J\\u009b\\u202eno\\u009b ";
  for (const Words& words : {Words{"inspect"}, Words{"inspect", "test.retriever.foreign"}}) {
    Words all = words;
    all.insert(all.end(), {"--plugin-path", path()});
    const ProcessResult result = cli(all);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr(shown)) << words.size();
    EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
  }
  const ProcessResult data =
      cli({"inspect", "test.retriever.foreign", "--json", "--plugin-path", path()});
  EXPECT_THAT(nlohmann::json::parse(data.out).at("summary").get<std::string>(),
              testing::StartsWith("\x1b[2J\u009b\u202eno\u009b "));
}

}  // namespace
}  // namespace dbsa
