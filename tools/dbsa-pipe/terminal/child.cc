#include "terminal/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "config/file_calls.h"

extern char** environ;

namespace dbsa::cli {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& arguments) {
  std::vector<char*> out;
  for (const std::string& argument : arguments) out.push_back(const_cast<char*>(argument.c_str()));
  out.push_back(nullptr);
  return out;
}

struct Pipe {
  Descriptor read_end, write_end;

  bool open() {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read_end.set(ends[0]);
    write_end.set(ends[1]);
    return true;
  }
};

// Inputs are short: they fit a pipe. A reader that takes none of it must not end this program.
void write_all(int descriptor, std::string_view text) {
  struct sigaction ignore = {}, before = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  while (!text.empty()) {
    const ssize_t some = ::write(descriptor, text.data(), text.size());
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) break;
    text.remove_prefix(static_cast<size_t>(some));
  }
  ::sigaction(SIGPIPE, &before, nullptr);
}

// Reads what is there, and closes at the end.
void read_some(Descriptor& from, std::string& text) {
  std::array<char, 4096> part;
  const ssize_t some = ::read(from.get(), part.data(), part.size());
  if (some > 0)
    text.append(part.data(), static_cast<size_t>(some));
  else if (some == 0 || errno != EINTR)
    from.close();
}

void read_both(Descriptor& first, std::string& first_text, Descriptor& second,
               std::string& second_text) {
  while (first.get() >= 0 || second.get() >= 0) {
    std::array<pollfd, 2> ready = {{{first.get(), POLLIN, 0}, {second.get(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (ready[0].revents != 0) read_some(first, first_text);
    if (ready[1].revents != 0) read_some(second, second_text);
  }
}

// Where a child's standard streams go.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

Error cannot_start(const std::string& program, int code) {
  return {ErrorCode::kEnvironment, program + ": cannot be started: " + std::strerror(code), ""};
}

}  // namespace

std::string program_path() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).string();
}

Result<pid_t> start_child(const std::vector<std::string>& arguments, const std::string& log) {
  const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor file(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (nothing.get() < 0 || file.get() < 0)
    return Error{ErrorCode::kEnvironment, log + ": cannot be written: " + std::strerror(errno), ""};
  std::vector<char*> words = pointers(arguments);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return cannot_start(arguments.front(), errno);
  if (child > 0) return child;
  // A separate group: Ctrl-C reaches only this program, which then ends its children in order.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(file.get(), STDOUT_FILENO);
  ::dup2(file.get(), STDERR_FILENO);
  if (::getppid() == parent) ::execv(words[0], words.data());
  ::_exit(127);
}

int child_exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<Captured> run_program(const std::vector<std::string>& arguments, const std::string& input) {
  Pipe in, out, error;
  if (!in.open() || !out.open() || !error.open()) return cannot_start(arguments.front(), errno);
  FileActions actions;
  ::posix_spawn_file_actions_adddup2(actions.get(), in.read_end.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(actions.get(), out.write_end.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(actions.get(), error.write_end.get(), STDERR_FILENO);
  pid_t child = -1;
  const int code = ::posix_spawnp(&child, arguments.front().c_str(), actions.get(), nullptr,
                                  pointers(arguments).data(), environ);
  if (code != 0) return cannot_start(arguments.front(), code);
  in.read_end.close();
  out.write_end.close();
  error.write_end.close();
  write_all(in.write_end.get(), input);
  in.write_end.close();
  Captured captured;
  read_both(out.read_end, captured.out, error.read_end, captured.error);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  captured.exit_code = child_exit_code(status);
  return captured;
}

}  // namespace dbsa::cli
