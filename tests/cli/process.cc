#include "tests/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace dbsa {
namespace {

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return ends;
}

void close_end(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

// Reads what is there; false at the end. A terminal whose other side is closed ends with EIO.
bool read_some(int descriptor, std::string& text) {
  std::array<char, 4096> part;
  const ssize_t length = ::read(descriptor, part.data(), part.size());
  if (length < 0 && errno == EINTR) return true;
  if (length <= 0) return false;
  text.append(part.data(), static_cast<size_t>(length));
  return true;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const ProcessOptions& options)
    : pending_input_(options.input) {
  start_child(arguments, options);
}

void Process::start_child(const std::vector<std::string>& arguments,
                          const ProcessOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<char*> words;
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.data()));
  words.push_back(nullptr);
  std::array<int, 2> input = make_pipe(), out = {-1, -1}, error = {-1, -1};
  if (options.terminal) {
    winsize size = {};
    size.ws_row = 40;
    size.ws_col = options.columns;
    if (::openpty(&out[0], &out[1], nullptr, nullptr, &size) != 0)
      throw std::runtime_error("no terminal");
  } else {
    out = make_pipe();
    error = make_pipe();
  }
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("no process");
  if (child_ == 0) {
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(options.terminal ? out[1] : error[1], STDERR_FILENO);
    for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::signal(SIGPIPE, SIG_DFL);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  input_ = input[1];
  out_ = out[0];
  error_ = error[0];
  close_end(input[0]);
  close_end(out[1]);
  close_end(error[1]);
}

Process::~Process() {
  if (!ended()) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, &status_, 0);
  }
  close_end(input_);
  close_end(out_);
  close_end(error_);
}

void Process::send_signal(int signal_number) const { ::kill(child_, signal_number); }

void Process::write_input(const std::string& text) const {
  // Inputs of these tests fit a pipe, so writing never waits for the reader.
  if (::write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("standard input was not taken");
}

std::string Process::read_line() const {
  std::string line;
  char letter = 0;
  while (::read(out_, &letter, 1) == 1 && letter != '\n') line += letter;
  return line;
}

bool Process::ended() {
  if (!reaped_) reaped_ = ::waitpid(child_, &status_, WNOHANG) == child_;
  return reaped_;
}

ProcessResult Process::wait() {
  ProcessResult result;
  write_input(pending_input_);
  close_end(input_);
  while (out_ >= 0 || error_ >= 0) {
    std::array<pollfd, 2> ready = {{{out_, POLLIN, 0}, {error_, POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) break;
    if (ready[0].revents != 0 && !read_some(out_, result.out)) close_end(out_);
    if (ready[1].revents != 0 && !read_some(error_, result.error)) close_end(error_);
  }
  if (!reaped_) ::waitpid(child_, &status_, 0);
  reaped_ = true;
  result.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  return result;
}

ProcessResult run_process(const std::vector<std::string>& arguments,
                          const ProcessOptions& options) {
  return Process(arguments, options).wait();
}

}  // namespace dbsa
