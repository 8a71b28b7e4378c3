// Options: the command line of one command. Boost.program_options reads it; help texts and messages
// are our own.
#pragma once

#include <dbsa/sdk/result.h>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "terminal/terminal.h"

namespace dbsa::cli {

// A command's face.
struct CommandHelp {
  std::string name;         // "store list"
  std::string arguments;    // "PIPELINE [TEXT]"
  std::string summary;      // one line
  std::string description;  // paragraphs, may be empty
  std::string examples;     // lines, each shown indented
};

// An option, as --help, manual pages and shells show it.
struct Option {
  std::string name;  // "quiet"
  char letter = 0;   // 'q', or none
  std::string unit;  // "DIR"; "" for a flag
  std::string text;
  bool repeats = false;
};

// Takes options and arguments, checks and hands them out.
class CommandLine {
 public:
  explicit CommandLine(CommandHelp help);

  CommandLine& flag(const std::string& name, const std::string& text);
  CommandLine& value(const std::string& name, const std::string& unit, const std::string& text);
  CommandLine& list(const std::string& name, const std::string& unit, const std::string& text);
  CommandLine& integer(const std::string& name, const std::string& unit, const std::string& text);
  // Arguments in order; `needed` of them must be there.
  CommandLine& arguments(std::vector<std::string> names, size_t needed);
  // One argument or more, all of that name.
  CommandLine& argument_list(const std::string& name);
  // What an option's unit or an argument may be, for shells to offer; other values are not refused.
  CommandLine& choices(const std::string& name, std::vector<std::string> values);

  // False: the help was asked for and printed. kConfig for what is wrong, in one line.
  Result<bool> parse(std::span<const std::string> words, Terminal& terminal);

  bool has(const std::string& name) const;
  std::string text(const std::string& name) const;  // "" when not given
  std::vector<std::string> texts(const std::string& name) const;
  std::optional<int64_t> number(const std::string& name) const;

  const CommandHelp& help() const { return help_; }
  std::vector<Option> shown_options() const;  // --help last
  const std::vector<std::string>& argument_names() const { return arguments_; }
  bool last_argument_repeats() const { return last_repeats_; }
  // Empty where any value may be. name: an option's or an argument's.
  std::vector<std::string> choices_of(const std::string& name) const;

 private:
  void show(const std::string& name, const std::string& unit, const std::string& text,
            bool repeats = false);
  Error wrong(const std::string& what) const;
  Status read(std::span<const std::string> words);
  std::vector<std::string> option_names() const;
  void print_help(Terminal& terminal) const;

  CommandHelp help_;
  boost::program_options::options_description options_;
  boost::program_options::options_description hidden_;  // the arguments
  std::vector<Option> shown_;
  std::map<std::string, std::vector<std::string>> choices_;
  std::vector<std::string> arguments_;
  size_t needed_ = 0;
  bool last_repeats_ = false;  // of arguments_
  boost::program_options::variables_map values_;
};

// "what; hint", or "what? Hint" after a question.
std::string with_hint(const std::string& what, std::string hint);

// Options that several commands share.
void add_pipeline_options(CommandLine& line);  // --set, --threads and those of add_plugin_options
void add_plugin_options(CommandLine& line);    // --plugin-path
void add_model_options(CommandLine& line);     // --verify
void add_output_options(CommandLine& line);    // --json, --quiet, --verbose

}  // namespace dbsa::cli
