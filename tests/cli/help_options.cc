#include "tests/cli/help_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "tests/cli/process.h"

namespace dbsa {
namespace {

// The lines of a part of a help text: "Commands:", "Options:".
std::vector<std::string> part_of_help(std::vector<std::string> words, const std::string& title) {
  words.insert(words.begin(), DBSA_BINARY_DIR "/bin/dbsa-pipe");
  words.emplace_back("--help");
  const ProcessResult help = run_process(words);
  EXPECT_EQ(help.exit_code, 0) << help.error;
  std::istringstream text(help.out);
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (inside && line.empty()) break;
    if (inside) lines.push_back(line);
    inside = inside || line == title;
  }
  EXPECT_FALSE(lines.empty()) << title;
  return lines;
}

std::vector<std::string> commands_of(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& line : part_of_help(words, "Commands:"))
    names.push_back(line.substr(2, line.find(' ', 2) - 2));
  return names;
}

}  // namespace

std::vector<std::string> all_commands() {
  std::vector<std::string> all;
  for (const std::string& name : commands_of({}))
    if (name != "store") all.push_back(name);
  for (const std::string& name : commands_of({"store"})) all.push_back("store " + name);
  return all;
}

std::vector<std::string> words_of(const std::string& command) {
  std::istringstream text(command);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

std::vector<HelpOption> options_of(const std::string& command) {
  const std::regex shown("  (?:-(.), )?--([a-z-]+)(?: (\\S+))?  .*");
  std::vector<HelpOption> options;
  for (const std::string& line : part_of_help(words_of(command), "Options:")) {
    std::smatch found;
    if (std::regex_match(line, found, shown)) options.push_back({found[2], found[1], found[3]});
  }
  return options;
}

bool has_option(const std::vector<HelpOption>& options, const std::string& name) {
  return std::any_of(options.begin(), options.end(),
                     [&](const HelpOption& option) { return option.name == name; });
}

}  // namespace dbsa
