// dbsa-pipe: many-shot in-context learning from blocks of keys and values that are encoded once.
#include <csignal>
#include <string>
#include <vector>

#include "commands.h"
#include "config/exit_code.h"
#include "config/nearest_name.h"
#include "config/schema_check.h"
#include "json_output.h"
#include "session.h"
#include "terminal/cancel.h"
#include "terminal/sudden_end.h"

namespace dbsa::cli {
namespace {

void print_help(Terminal& terminal) {
  terminal.out("dbsa-pipe answers queries from many demonstrations, which it encodes once.\n");
  terminal.out(terminal.out_style(Style::kBold, "Usage:") + " dbsa-pipe COMMAND [options]\n");
  terminal.out(terminal.out_style(Style::kBold, "Commands:"));
  for (const Command& command : commands()) {
    std::string name = command.name;
    name.resize(12, ' ');
    terminal.out("  " + terminal.out_style(Style::kGreen, name) + command.summary);
  }
  terminal.out(
      "\n`dbsa-pipe COMMAND --help` and `dbsa-pipe help COMMAND` show the options of a command, "
      "`dbsa-pipe\n--version` the version.\n");
  terminal.out(terminal.out_style(Style::kBold, "Example:"));
  terminal.out("  dbsa-pipe run pipelines/quickstart.toml\n");
  terminal.out(
      "Exit codes: 0 ok, 2 configuration, data or command line, 3 plugin, 4 environment (missing "
      "file,\nmemory, disk), 5 run; stopped: 130 by Ctrl-C, 143 by SIGTERM, 128 + n by signal n "
      "(HUP, "
      "XCPU,\nUSR1, USR2, ALRM).");
}

int usage_error(Terminal& terminal, const std::string& what) {
  return fail(terminal, Error{ErrorCode::kConfig, with_hint(what, "see `dbsa-pipe --help`"), ""});
}

int dispatch(std::vector<std::string> words, Terminal& terminal) {
  if (words.empty()) {
    print_help(terminal);
    return exit_code(ErrorCode::kConfig);
  }
  // `help store gc` is `store gc --help`.
  if (words.front() == "help" && words.size() > 1) {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  const std::string& name = words.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(terminal);
    return 0;
  }
  if (name == "--version") {
    terminal.out(std::string("dbsa-pipe ") + kProgramVersion);
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) return command.run(Words(words).subspan(1), terminal);
    names.emplace_back(command.name);
  }
  if (name.starts_with("-"))
    return usage_error(terminal, "the first word must be a command, got " + in_quotes(name));
  return usage_error(terminal, "unknown command " + in_quotes(name) + did_you_mean(name, names));
}

}  // namespace

int fail(Terminal& terminal, const Error& error) {
  terminal.set_progress("");
  const bool stopped = error.code == ErrorCode::kCancelled;
  const int signal_number = stopped ? received_signal() : 0;
  const int code = signal_number != 0 ? signal_exit_code(signal_number) : exit_code(error.code);
  print_error_document(error, code, terminal);
  if (stopped)
    terminal.say(error.message);
  else
    terminal.error(error.message);
  return code;
}

}  // namespace dbsa::cli

int main(int argc, char** argv) {
  dbsa::cli::watch_for_sudden_ends();
  // A file that would outgrow `ulimit -f` is an error to report, not the end.
  ::signal(SIGXFSZ, SIG_IGN);
  // A peer that is gone, of a plugin or behind a pipe, is an error of the call that notices. Not
  // ignored, which programs that are started would inherit.
  const bool pipes_ignored = ::signal(SIGPIPE, [](int) {}) == SIG_IGN;
  if (pipes_ignored) ::signal(SIGPIPE, SIG_IGN);
  dbsa::cli::Terminal terminal;
  int code = 5;
  try {
    code = dbsa::cli::dispatch(std::vector<std::string>(argv + 1, argv + argc), terminal);
  } catch (...) {
    code = dbsa::cli::fail(terminal, dbsa::cli::describe_exception());
  }
  const dbsa::Status written = terminal.close_out();
  dbsa::cli::expect_end(code);
  // A reader that leaves ends the program without a word, as other programs.
  if (terminal.reader_left() && !pipes_ignored) {
    ::signal(SIGPIPE, SIG_DFL);
    if (code == 0) ::raise(SIGPIPE);
    return code;
  }
  if (!written.ok()) {
    const int failed = dbsa::cli::fail(terminal, written.error());
    if (code == 0) code = failed;
    dbsa::cli::expect_end(code);
  }
  return code;
}
