// Children: other runs of this program, several at once.
#pragma once

#include <dbsa/sdk/result.h>
#include <sys/types.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dbsa::cli {

class Children {
 public:
  Children() = default;
  ~Children();  // kills those that run, and waits for them
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // As start_child(). task: what the caller knows it by; one that is running has no other's.
  Status start(size_t task, const std::vector<std::string>& arguments, const std::string& log);

  size_t running() const { return running_.size(); }

  struct Ended {
    size_t task = 0;
    int exit_code = 0;  // 128 + n for one that signal n ended
  };
  // One that has ended since, if there is one. Does not wait.
  std::optional<Ended> reap();

  void stop(int signal_number) const;

 private:
  std::map<pid_t, size_t> running_;  // and its task
};

}  // namespace dbsa::cli
