// Manual pages and shell completion have every option of every --help.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/help_options.h"

namespace dbsa {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

class PagesTest : public CliTest {
 protected:
  void SetUp() override {
    const ProcessResult made = cli({"completion", "--output", path("share")});
    ASSERT_EQ(made.exit_code, 0) << made.error;
  }

  // What bash offers for the last of these words.
  Words offered(const Words& words) const {
    std::string line;
    for (const std::string& word : words) line += " '" + word + "'";
    const ProcessResult result = run_process(
        {"/usr/bin/env", "bash", "-c",
         "cd '" + path() + "' && source share/bash-completion/completions/dbsa-pipe && " +
             "COMP_WORDS=(dbsa-pipe" + line + ") && COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && " +
             "_dbsa_pipe && printf '%s\\n' \"${COMPREPLY[@]}\""});
    EXPECT_EQ(result.error, "") << line;
    Words all;
    for (size_t begin = 0; begin < result.out.size();) {
      const size_t end = result.out.find('\n', begin);
      if (end > begin) all.push_back(result.out.substr(begin, end - begin));
      begin = end + 1;
    }
    return all;
  }

  // The part of a script about a command.
  std::string part(const std::string& text, const std::string& from, const std::string& to) const {
    const size_t begin = text.find(from);
    EXPECT_NE(begin, text.npos) << from;
    return begin == text.npos ? "" : text.substr(begin, text.find(to, begin) - begin);
  }
};

TEST_F(PagesTest, ManualPagesHaveEveryOption) {
  for (const std::string& command : all_commands()) {
    const std::string page = words_of(command).front();
    std::string text = workspace_.read("share/man/man1/dbsa-pipe-" + page + ".1");
    text = std::regex_replace(text, std::regex(R"(\\f[BIR])"), "");
    text = std::regex_replace(text, std::regex(R"(\\-)"), "-");
    if (page == "store") text = part(text, ".SS \"" + command + "\"\n", "\n.SS ");
    const std::vector<HelpOption> options = options_of(command);
    EXPECT_THAT(options, Not(IsEmpty())) << command;
    for (const HelpOption& option : options)
      EXPECT_THAT(
          text,
          HasSubstr("\n.TP\n" + (option.letter.empty() ? "" : "-" + option.letter + ", ") + "--" +
                    option.name + (option.unit.empty() ? "" : " " + option.unit) + "\n"))
          << command;
    EXPECT_THAT(workspace_.read("share/man/man1/dbsa-pipe.1"), HasSubstr("\\fB" + page + "\\fR\n"));
  }
}

TEST_F(PagesTest, ManualPagesAreCleanRoff) {
  if (run_process({"/bin/sh", "-c", "command -v groff"}).exit_code != 0)
    GTEST_SKIP() << "there is no groff here";
  int pages = 0;
  for (const auto& entry : fs::directory_iterator(path("share/man/man1"))) {
    const ProcessResult result = run_process(
        {"/usr/bin/env", "groff", "-man", "-Tascii", "-ww", "-z", entry.path().string()});
    EXPECT_EQ(result.error, "") << entry.path();
    EXPECT_EQ(result.exit_code, 0) << entry.path();
    ++pages;
  }
  EXPECT_GT(pages, 10);
}

TEST_F(PagesTest, BashOffersCommandsAndEveryOption) {
  EXPECT_THAT(offered({""}), IsSupersetOf({"run", "store", "inspect", "help", "--version"}));
  EXPECT_THAT(offered({"va"}), UnorderedElementsAre("validate"));
  EXPECT_THAT(offered({"store", "ve"}), UnorderedElementsAre("verify"));
  EXPECT_THAT(offered({"help", "sto"}), UnorderedElementsAre("store"));
  for (const std::string& command : all_commands()) {
    Words words = words_of(command);
    words.emplace_back("-");
    Words expected;
    for (const HelpOption& option : options_of(command)) {
      expected.push_back("--" + option.name);
      if (!option.letter.empty()) expected.push_back("-" + option.letter);
    }
    EXPECT_THAT(offered(words), ::testing::UnorderedElementsAreArray(expected)) << command;
  }
}

TEST_F(PagesTest, BashOffersValues) {
  workspace_.write("my pipeline.toml", "");
  fs::create_directories(path("my folder"));
  EXPECT_THAT(offered({"run", "my"}), UnorderedElementsAre("my pipeline.toml", "my folder"));
  EXPECT_THAT(offered({"run", "--output", "my"}), UnorderedElementsAre("my folder"));
  EXPECT_THAT(offered({"run", "--output", "=", "my"}), UnorderedElementsAre("my folder"));
  EXPECT_THAT(offered({"run", "--threads", "my"}), IsEmpty());
  EXPECT_THAT(offered({"inspect", "--kind", "k"}), UnorderedElementsAre("kv_store"));
  EXPECT_THAT(offered({"inspect", "dec"}), UnorderedElementsAre("decoding"));
  EXPECT_THAT(offered({"completion", "z"}), UnorderedElementsAre("zsh"));
  EXPECT_THAT(offered({"no-such-command", "my"}), IsEmpty());
}

TEST_F(PagesTest, BashKnowsWhoCompletes) {
  const ProcessResult result =
      run_process({"/usr/bin/env", "bash", "-c",
                   "source '" + path("share/bash-completion/completions/dbsa-pipe") +
                       "' && complete -p dbsa-pipe"});
  EXPECT_EQ(result.out, "complete -F _dbsa_pipe dbsa-pipe\n");
}

TEST_F(PagesTest, ZshAndFishHaveEveryOption) {
  const std::string zsh = workspace_.read("share/zsh/site-functions/_dbsa-pipe");
  const std::string fish = workspace_.read("share/fish/vendor_completions.d/dbsa-pipe.fish");
  EXPECT_THAT(zsh, ::testing::StartsWith("#compdef dbsa-pipe\n"));
  for (const std::string& command : all_commands()) {
    const std::string of_zsh = part(zsh, "    '" + command + "')\n", ";;");
    for (const HelpOption& option : options_of(command)) {
      EXPECT_THAT(of_zsh, HasSubstr("--" + option.name + (option.unit.empty() ? "[" : "=[")))
          << command;
      EXPECT_THAT(fish, HasSubstr("complete -c dbsa-pipe -n '__dbsa_pipe_is " + command + "' -l " +
                                  option.name + " "))
          << command;
      if (option.letter.empty()) continue;
      EXPECT_THAT(of_zsh, HasSubstr(")-" + option.letter)) << command;
      EXPECT_THAT(fish, HasSubstr(" -l " + option.name + " -s " + option.letter + " ")) << command;
    }
  }
}

TEST_F(PagesTest, ShellsAreTriedWhereTheyAreInstalled) {
  int tried = 0;
  for (const auto& [shell, file] : {std::pair{"bash", "bash-completion/completions/dbsa-pipe"},
                                    {"zsh", "zsh/site-functions/_dbsa-pipe"},
                                    {"fish", "fish/vendor_completions.d/dbsa-pipe.fish"}}) {
    const std::string name = shell;
    if (run_process({"/bin/sh", "-c", "command -v " + name}).exit_code != 0) continue;
    // zsh's is only for its completion system; bash and fish can load theirs.
    Words words = {"/usr/bin/env", name, path("share/") + file};
    if (name == "zsh") words.insert(words.begin() + 2, "-n");
    const ProcessResult result = run_process(words);
    EXPECT_EQ(result.error, "") << name;
    EXPECT_EQ(result.exit_code, 0) << name;
    ++tried;
  }
  EXPECT_GE(tried, 1);
}

TEST_F(PagesTest, CompletionPrintsWhatIsWritten) {
  EXPECT_EQ(cli({"completion", "bash"}).out,
            workspace_.read("share/bash-completion/completions/dbsa-pipe"));
  EXPECT_EQ(cli({"completion", "zsh"}).out, workspace_.read("share/zsh/site-functions/_dbsa-pipe"));
  EXPECT_EQ(cli({"completion", "fish"}).out,
            workspace_.read("share/fish/vendor_completions.d/dbsa-pipe.fish"));
  const ProcessResult unknown = cli({"completion", "bsh"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.error,
            "error: unknown shell \"bsh\"; did you mean \"bash\"? Shells: bash, zsh, fish\n");
  EXPECT_EQ(cli({"completion"}).error,
            "error: dbsa-pipe completion: expected either SHELL or --output DIR; see `dbsa-pipe "
            "completion --help`\n");
}

}  // namespace
}  // namespace dbsa
