// The commands of dbsa-pipe, one file each. All take the words after the command's name and return
// the process exit code.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>

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

// Prints an error, a line for each fault, and returns the exit code it means.
int fail(Terminal& terminal, const Error& error);

}  // namespace dbsa::cli
