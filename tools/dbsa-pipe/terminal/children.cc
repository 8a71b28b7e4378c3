#include "terminal/children.h"

#include <signal.h>
#include <sys/wait.h>

#include "terminal/child.h"

namespace dbsa::cli {

Children::~Children() {
  stop(SIGKILL);
  for (const auto& [child, task] : running_) ::waitpid(child, nullptr, 0);
}

Status Children::start(size_t task, const std::vector<std::string>& arguments,
                       const std::string& log) {
  DBSA_ASSIGN_OR_RETURN(const pid_t child, start_child(arguments, log));
  running_[child] = task;
  return {};
}

std::optional<Children::Ended> Children::reap() {
  for (const auto& [child, task] : running_) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) != child) continue;
    const Ended ended = {task, child_exit_code(status)};
    running_.erase(child);
    return ended;
  }
  return std::nullopt;
}

void Children::stop(int signal_number) const {
  for (const auto& [child, task] : running_) ::kill(child, signal_number);
}

}  // namespace dbsa::cli
