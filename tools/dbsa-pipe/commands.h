// The commands of dbsa-pipe, one file each. All take the words after the command's name and return
// the process exit code.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>
#include <vector>

#include "options.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

using Words = std::span<const std::string>;

int run_command(Words words, Terminal& terminal);
int encode_command(Words words, Terminal& terminal);
int query_command(Words words, Terminal& terminal);
int validate_command(Words words, Terminal& terminal);
int explain_command(Words words, Terminal& terminal);
int inspect_command(Words words, Terminal& terminal);
int sweep_command(Words words, Terminal& terminal);
int tune_command(Words words, Terminal& terminal);
int report_command(Words words, Terminal& terminal);
int store_command(Words words, Terminal& terminal);
int completion_command(Words words, Terminal& terminal);

// What --help, manual pages and shells show of them.
CommandLine run_command_line();
CommandLine encode_command_line();
CommandLine query_command_line();
CommandLine validate_command_line();
CommandLine explain_command_line();
CommandLine inspect_command_line();
CommandLine sweep_command_line();
CommandLine tune_command_line();
CommandLine report_command_line();
std::vector<CommandLine> store_command_lines();
CommandLine completion_command_line();

struct Command {
  const char* name;
  const char* summary;
  int (*run)(Words words, Terminal& terminal);
  CommandLine (*line)();  // null: it has commands, whose lines are store_command_lines()
};
std::span<const Command> commands();

// Prints an error, a line for each fault, and returns the exit code it means.
int fail(Terminal& terminal, const Error& error);

}  // namespace dbsa::cli
