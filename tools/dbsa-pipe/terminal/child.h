// Child: another run of this program, with its output in a file.
#pragma once

#include <dbsa/sdk/result.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace dbsa::cli {

// The path of the running program.
std::string program_path();

// Starts `arguments` (a program's path and its words, no shell) with standard output and error in
// `log`. A signal of the terminal does not reach it; when this program is killed it gets SIGTERM.
// kEnvironment when it cannot be started.
Result<pid_t> start_child(const std::vector<std::string>& arguments, const std::string& log);

// Exit code of a child that waitpid reported; 128 + n for one that signal n ended.
int child_exit_code(int status);

struct Captured {
  int exit_code = 0;
  std::string out;
  std::string error;
};
// Runs a program to its end with `input` on standard input. kEnvironment when it is not there.
Result<Captured> run_program(const std::vector<std::string>& arguments, const std::string& input);

}  // namespace dbsa::cli
