#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

extern char** environ;

namespace dbsa::cli {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& arguments) {
  std::vector<char*> out;
  for (const std::string& argument : arguments) out.push_back(const_cast<char*>(argument.c_str()));
  out.push_back(nullptr);
  return out;
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
  FileActions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(actions.get(), 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  ::posix_spawn_file_actions_adddup2(actions.get(), 1, 2);
  // A group of its own: Ctrl-C reaches this program alone, which then ends its children in order.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  pid_t child = -1;
  const int code = ::posix_spawn(&child, arguments.front().c_str(), actions.get(), &attributes,
                                 pointers(arguments).data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (code != 0) return cannot_start(arguments.front(), code);
  return child;
}

int child_exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<Captured> run_program(const std::vector<std::string>& arguments, const std::string& input) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return cannot_start(arguments.front(), errno);
  if (::pipe2(out, O_CLOEXEC) != 0) {
    ::close(in[0]);
    ::close(in[1]);
    return cannot_start(arguments.front(), errno);
  }
  FileActions actions;
  ::posix_spawn_file_actions_adddup2(actions.get(), in[0], 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), out[1], 1);
  ::posix_spawn_file_actions_adddup2(actions.get(), out[1], 2);
  pid_t child = -1;
  const int code = ::posix_spawnp(&child, arguments.front().c_str(), actions.get(), nullptr,
                                  pointers(arguments).data(), environ);
  ::close(in[0]);
  ::close(out[1]);
  Captured captured;
  if (code == 0) {
    // Inputs are short: they fit a pipe. A child that reads none of it must not end this program.
    struct sigaction ignore = {}, before = {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before);
    for (size_t sent = 0; sent < input.size();) {
      const ssize_t some = ::write(in[1], input.data() + sent, input.size() - sent);
      if (some <= 0) break;
      sent += static_cast<size_t>(some);
    }
    ::sigaction(SIGPIPE, &before, nullptr);
  }
  ::close(in[1]);
  char part[4096];
  for (ssize_t some; code == 0 && (some = ::read(out[0], part, sizeof part)) > 0;)
    captured.out.append(part, static_cast<size_t>(some));
  ::close(out[0]);
  if (code != 0) return cannot_start(arguments.front(), code);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  captured.exit_code = child_exit_code(status);
  return captured;
}

}  // namespace dbsa::cli
