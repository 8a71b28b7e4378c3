// What is drawn on a terminal, and that nothing is drawn elsewhere.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::Not;
using TerminalTest = CliTest;

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

TEST_F(TerminalTest, NoColorTakesTheColoursAway) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli(
      {"run", pipeline}, {.environment = {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("\r\x1b[Kencoding  "));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b[1m")));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b[0m")));
}

TEST_F(TerminalTest, ProgressNeverWrapsTheLine) {
  const std::string pipeline = make_pipeline(24, 40);
  const ProcessResult result =
      cli({"run", pipeline},
          {.environment = {{"TERM", "xterm"}, {"NO_COLOR", "1"}, {"LC_ALL", "C.UTF-8"}},
           .terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  size_t drawn = 0;
  const std::string mark = "\r\x1b[K";
  for (size_t at = result.out.find(mark); at != result.out.npos; at = result.out.find(mark, at)) {
    at += mark.size();
    const std::string line = result.out.substr(at, result.out.find_first_of("\r\n", at) - at);
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

TEST_F(TerminalTest, QuietSaysNothingOnStandardError) {
  const ProcessResult result = cli({"run", make_pipeline(), "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.out, HasSubstr("accuracy "));
}

TEST_F(TerminalTest, TextFromADataFileCannotDriveTheTerminal) {
  const std::string pipeline = make_pipeline();
  workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": \"x\\u001b[31mred\"}\n");
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const ProcessResult result = cli({"query", pipeline, "a"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, testing::StartsWith("x\\x1b[31mred\t"));
}

}  // namespace
}  // namespace dbsa
