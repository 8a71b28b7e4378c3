// Help, version, and what is said about a command line that is wrong.
#include <gmock/gmock.h>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Mistake {
  std::vector<std::string> words;
  std::string message;
};

using OptionsTest = CliTest;

TEST_F(OptionsTest, TellsTheVersion) {
  const ProcessResult result = cli({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, testing::MatchesRegex("dbsa-pipe [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(result.error, "");
}

TEST_F(OptionsTest, HelpNamesEveryCommand) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"help"}}) {
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0);
    for (const char* name : {"run", "encode", "query", "validate", "inspect", "store"})
      EXPECT_THAT(result.out, HasSubstr(std::string("  ") + name + " "));
  }
}

TEST_F(OptionsTest, WithoutACommandTheHelpIsShownAndItIsAnError) {
  const ProcessResult result = cli({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("Usage: dbsa-pipe COMMAND"));
}

TEST_F(OptionsTest, EveryCommandHasHelpWithAnExampleOfItself) {
  for (const Words& words :
       {Words{"run"}, Words{"encode"}, Words{"query"}, Words{"validate"}, Words{"explain"},
        Words{"inspect"}, Words{"store", "list"}, Words{"store", "pools"}, Words{"store", "verify"},
        Words{"store", "export"}, Words{"store", "compact"}, Words{"store", "rm"},
        Words{"store", "gc"}}) {
    Words with_help = words;
    with_help.push_back("--help");
    std::string name = words.front();
    if (words.size() > 1) name += " " + words[1];
    const ProcessResult result = cli(with_help);
    EXPECT_EQ(result.exit_code, 0) << name;
    EXPECT_EQ(result.error, "") << name;
    EXPECT_THAT(result.out, HasSubstr("Usage: dbsa-pipe " + name + " ")) << name;
    EXPECT_THAT(result.out, HasSubstr("\nExamples:\n  dbsa-pipe " + name)) << name;
    EXPECT_THAT(result.out, HasSubstr("-h, --help")) << name;
  }
}

TEST_F(OptionsTest, HelpOfACommandIsItsHelp) {
  for (const auto& [words, same] :
       {std::pair{Words{"help", "run"}, Words{"run", "--help"}},
        std::pair{Words{"help", "store"}, Words{"store", "--help"}},
        std::pair{Words{"help", "store", "gc"}, Words{"store", "gc", "--help"}},
        std::pair{Words{"store", "help"}, Words{"store", "--help"}},
        std::pair{Words{"store", "help", "gc"}, Words{"store", "gc", "--help"}}}) {
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << words.back();
    EXPECT_EQ(result.out, cli(same).out) << words.back();
    EXPECT_EQ(result.error, "") << words.back();
  }
  const ProcessResult unknown = cli({"help", "rnu"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.error,
            "error: unknown command \"rnu\"; did you mean \"run\"? See `dbsa-pipe --help`\n");
}

TEST_F(OptionsTest, MistakesAreNamedWithExitCode2) {
  const std::vector<Mistake> mistakes = {
      {{"rnu"}, "unknown command \"rnu\"; did you mean \"run\"? See `dbsa-pipe --help`"},
      {{"zzzzzz"}, "unknown command \"zzzzzz\"; see `dbsa-pipe --help`"},
      {{"--json"}, "the first word must be a command, got \"--json\"; see `dbsa-pipe --help`"},
      {{"run"},
       "dbsa-pipe run: expected either PIPELINE or --record RECORD; see `dbsa-pipe run --help`"},
      {{"run", "--jsno", "a.toml"},
       "dbsa-pipe run: unknown option \"--jsno\"; did you mean \"--json\"? See `dbsa-pipe run "
       "--help`"},
      {{"run", "--js", "a.toml"},
       "dbsa-pipe run: unknown option \"--js\"; see `dbsa-pipe run --help`"},
      {{"run", "a.toml", "b.toml"},
       "dbsa-pipe run: too many arguments, expected [PIPELINE]; see `dbsa-pipe run --help`"},
      {{"run", "a.toml", "--threads", "many"},
       "dbsa-pipe run: --threads: expected an integer; see `dbsa-pipe run --help`"},
      {{"run", "a.toml", "--threads", "0"}, "--threads: must be between 1 and 4096, got 0"},
      {{"run", "a.toml", "--output"},
       "dbsa-pipe run: --output: expected a value after it; see `dbsa-pipe run --help`"},
      {{"run", "a.toml", "--json=yes"},
       "dbsa-pipe run: --json: takes no value; see `dbsa-pipe run --help`"},
      {{"run", "a.toml", "--output", "a", "--output", "b"},
       "dbsa-pipe run: --output is given more than once; see `dbsa-pipe run --help`"},
      {{"store", "lst"},
       "dbsa-pipe store: unknown command \"lst\"; did you mean \"list\"? See `dbsa-pipe store "
       "--help`"},
      {{"inspect", "--kind", "retreiver"},
       "--kind: unknown kind \"retreiver\"; did you mean \"retriever\"? Kinds: block_grouper, "
       "mask_pattern, retriever, kv_store, attention_backend"},
      {{"inspect", "--config"}, "--config needs a plugin, as in `dbsa-pipe inspect bm25 --config`"},
  };
  for (const Mistake& mistake : mistakes) {
    const ProcessResult result = cli(mistake.words);
    EXPECT_EQ(result.exit_code, 2) << mistake.message;
    EXPECT_EQ(result.out, "") << mistake.message;
    EXPECT_EQ(result.error, "error: " + mistake.message + "\n");
  }
}

TEST_F(OptionsTest, SetNeedsAKeyAndAValue) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"validate", pipeline, "--set", "selection.ratio"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error,
            "error: --set selection.ratio: expected KEY=VALUE, as in --set selection.ratio=0.5\n");
}

TEST_F(OptionsTest, ATextThatBeginsWithADashComesAfterTwoDashes) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  EXPECT_EQ(cli({"query", pipeline, "--", "--my card"}).exit_code, 0);
  EXPECT_THAT(cli({"query", pipeline, "--my card"}).error,
              StartsWith("error: dbsa-pipe query: unknown option \"--my card\""));
}

}  // namespace
}  // namespace dbsa
