#include "options.h"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "config/nearest_name.h"
#include "config/schema_check.h"

namespace dbsa::cli {

namespace po = boost::program_options;

namespace {

// "-q, --quiet", "--output DIR"
std::string shown_name(const Option& option) {
  const std::string letter = option.letter == 0 ? "" : std::string("-") + option.letter + ", ";
  return letter + "--" + option.name + (option.unit.empty() ? "" : " " + option.unit);
}

}  // namespace

CommandLine::CommandLine(CommandHelp help) : help_(std::move(help)) {
  options_.add_options()("help,h", po::bool_switch(), "");
}

// name: "quiet,q", as Boost takes it.
void CommandLine::show(const std::string& name, const std::string& unit, const std::string& text,
                       bool repeats) {
  const size_t comma = name.find(',');
  const char letter = comma == name.npos ? '\0' : name[comma + 1];
  shown_.push_back({name.substr(0, comma), letter, unit, text, repeats});
}

std::vector<Option> CommandLine::shown_options() const {
  std::vector<Option> all = shown_;
  all.push_back({"help", 'h', "", "show this text"});
  return all;
}

CommandLine& CommandLine::choices(const std::string& name, std::vector<std::string> values) {
  choices_[name] = std::move(values);
  return *this;
}

std::vector<std::string> CommandLine::choices_of(const std::string& name) const {
  const auto found = choices_.find(name);
  return found == choices_.end() ? std::vector<std::string>() : found->second;
}

CommandLine& CommandLine::flag(const std::string& name, const std::string& text) {
  options_.add_options()(name.c_str(), po::bool_switch(), "");
  show(name, "", text);
  return *this;
}

CommandLine& CommandLine::value(const std::string& name, const std::string& unit,
                                const std::string& text) {
  options_.add_options()(name.c_str(), po::value<std::string>(), "");
  show(name, unit, text);
  return *this;
}

CommandLine& CommandLine::list(const std::string& name, const std::string& unit,
                               const std::string& text) {
  options_.add_options()(name.c_str(), po::value<std::vector<std::string>>()->composing(), "");
  show(name, unit, text, true);
  return *this;
}

CommandLine& CommandLine::integer(const std::string& name, const std::string& unit,
                                  const std::string& text) {
  options_.add_options()(name.c_str(), po::value<int64_t>(), "");
  show(name, unit, text);
  return *this;
}

CommandLine& CommandLine::arguments(std::vector<std::string> names, size_t needed) {
  for (const std::string& name : names)
    hidden_.add_options()(name.c_str(), po::value<std::string>(), "");
  arguments_ = std::move(names);
  needed_ = needed;
  return *this;
}

CommandLine& CommandLine::argument_list(const std::string& name) {
  hidden_.add_options()(name.c_str(), po::value<std::vector<std::string>>(), "");
  arguments_ = {name};
  needed_ = 1;
  last_repeats_ = true;
  return *this;
}

Error CommandLine::wrong(const std::string& what) const {
  return Error{ErrorCode::kConfig, with_hint(what, "see `dbsa-pipe " + help_.name + " --help`"),
               ""};
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> names;
  for (const auto& option : options_.options()) names.push_back("--" + option->long_name());
  return names;
}

Status CommandLine::read(std::span<const std::string> words) {
  po::options_description all;
  all.add(options_).add(hidden_);
  po::positional_options_description order;
  for (const std::string& name : arguments_) order.add(name.c_str(), last_repeats_ ? -1 : 1);
  const std::string before = "dbsa-pipe " + help_.name + ": ";
  try {
    // Abbreviated options would change their meaning with every new option.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
                  .options(all)
                  .positional(order)
                  .style(style)
                  .run(),
              values_);
    po::notify(values_);
  } catch (const po::unknown_option& e) {
    const std::string name = e.get_option_name();
    return wrong(before + "unknown option " + in_quotes(name) + did_you_mean(name, option_names()));
  } catch (const po::too_many_positional_options_error&) {
    return wrong(before + "too many arguments, expected " + help_.arguments);
  } catch (const po::multiple_occurrences& e) {
    return wrong(before + e.get_option_name() + " is given more than once");
  } catch (const po::invalid_command_line_syntax& e) {
    const bool missing = e.kind() == po::invalid_syntax::missing_parameter;
    return wrong(before + e.get_option_name() +
                 (missing ? ": expected a value after it" : ": takes no value"));
  } catch (const po::invalid_option_value& e) {
    return wrong(before + e.get_option_name() + ": expected an integer");
  } catch (const po::error& e) {
    return wrong(before + e.what());
  }
  return {};
}

Result<bool> CommandLine::parse(std::span<const std::string> words, Terminal& terminal) {
  // Also beside options that are wrong or arguments that are missing.
  const auto end = std::find(words.begin(), words.end(), "--");
  if (std::any_of(words.begin(), end,
                  [](const std::string& w) { return w == "-h" || w == "--help"; })) {
    print_help(terminal);
    return false;
  }
  if (options_.find_nothrow("json", false) != nullptr &&
      std::find(words.begin(), end, "--json") != end)
    terminal.expect_document();
  DBSA_RETURN_IF_ERROR(read(words));
  for (size_t i = 0; i < needed_; ++i)
    if (!has(arguments_[i]))
      return wrong("dbsa-pipe " + help_.name + ": missing argument, expected " + help_.arguments);
  return true;
}

bool CommandLine::has(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return false;
  if (const bool* flag = boost::any_cast<bool>(&found->second.value())) return *flag;
  return true;
}

std::string CommandLine::text(const std::string& name) const {
  return values_.count(name) != 0 ? values_[name].as<std::string>() : "";
}

std::vector<std::string> CommandLine::texts(const std::string& name) const {
  return values_.count(name) != 0 ? values_[name].as<std::vector<std::string>>()
                                  : std::vector<std::string>();
}

std::optional<int64_t> CommandLine::number(const std::string& name) const {
  if (values_.count(name) == 0) return std::nullopt;
  return values_[name].as<int64_t>();
}

void CommandLine::print_help(Terminal& terminal) const {
  const auto title = [&](const char* text) { return terminal.out_style(Style::kBold, text); };
  const std::string arguments = help_.arguments.empty() ? "" : " " + help_.arguments;
  terminal.out(help_.summary + "\n");
  terminal.out(title("Usage:") + " dbsa-pipe " + help_.name + arguments + " [options]");
  if (!help_.description.empty()) terminal.out("\n" + help_.description);
  terminal.out("\n" + title("Options:"));
  const std::vector<Option> options = shown_options();
  size_t column = 0;
  for (const Option& option : options) column = std::max(column, shown_name(option).size());
  for (const Option& option : options) {
    const std::string name = shown_name(option);
    std::string head = "  " + name + std::string(column + 2 - name.size(), ' ');
    for (const std::string& part : wrap_text(option.text, 90 - head.size())) {
      terminal.out(head + part);
      head.assign(head.size(), ' ');
    }
  }
  if (help_.examples.empty()) return;
  terminal.out("\n" + title("Examples:"));
  std::istringstream lines(help_.examples);
  for (std::string line; std::getline(lines, line);) terminal.out("  " + line);
}

std::string with_hint(const std::string& what, std::string hint) {
  if (!what.ends_with("?")) return what + "; " + hint;
  if (hint.front() >= 'a' && hint.front() <= 'z') hint.front() -= 'a' - 'A';
  return what + " " + hint;
}

void add_plugin_options(CommandLine& line) {
  line.list("plugin-path", "DIR",
            "look for plugins here first; may be given more than once (then DBSA_PLUGIN_PATH, then "
            "../lib/dbsa/plugins beside the program)");
}

void add_pipeline_options(CommandLine& line) {
  line.list("set", "KEY=VALUE",
            "set a value over the file's, as in --set selection.ratio=0.5; naming another plugin "
            "removes the previous plugin's keys; relative paths are resolved against the current "
            "folder; may be given more than once");
  line.integer("threads", "N", "threads to use (default: as many as this process may)");
  add_plugin_options(line);
}

void add_model_options(CommandLine& line) {
  line.flag("verify",
            "hash the model's weights and the packed ones again (what is remembered of unchanged "
            "files is trusted for 30 days)");
}

void add_output_options(CommandLine& line) {
  line.flag("json", "print one JSON document on standard output, nothing else there");
  line.flag("quiet,q", "only warnings and errors on standard error");
  line.flag("verbose,v", "more notes on standard error");
}

}  // namespace dbsa::cli
