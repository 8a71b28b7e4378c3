// Runs a program as a user would: arguments, standard input, environment; pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace dbsa {

struct ProcessOptions {
  std::string input = {};  // standard input
  // Set over this process's own.
  std::vector<std::pair<std::string, std::string>> environment = {};
  bool terminal = false;         // standard output and error are one terminal
  unsigned short columns = 100;  // of the terminal
};

struct ProcessResult {
  int exit_code = -1;  // -signal when one ended it
  std::string out;     // with a terminal: everything
  std::string error;
};

// A running program. The destructor kills what still runs.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const ProcessOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send_signal(int signal_number) const;
  void write_input(const std::string& text) const;
  // Waits for a line of standard output; without its end. wait() returns what follows.
  std::string read_line() const;
  // Ended, whether waited for or not.
  bool ended();
  // Reads to the end and waits.
  ProcessResult wait();

 private:
  void start_child(const std::vector<std::string>& arguments, const ProcessOptions& options);

  pid_t child_ = -1;
  int input_ = -1, out_ = -1, error_ = -1;
  bool reaped_ = false;
  int status_ = 0;
  std::string pending_input_;
};

ProcessResult run_process(const std::vector<std::string>& arguments,
                          const ProcessOptions& options = {});

}  // namespace dbsa
