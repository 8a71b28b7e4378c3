#include "commands/probe_plugin.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "config/exit_code.h"
#include "config/file_calls.h"

namespace dbsa::cli {
namespace {

constexpr unsigned kMostSeconds = 60;
constexpr std::string_view kErrorWord = "error: ";  // as sudden_end.h begins its line

// Said last by a child that has loaded the plugin: a plugin may end it with any exit code. The zero
// is in no text that one prints.
constexpr std::string_view kLoaded{"\0loaded\n", 8};

// Loads the plugin and ends; what is wrong goes to `answer`, and so does what is said of a crash.
[[noreturn]] void load_and_end(host::PluginRegistry& registry, const host::Manifest& manifest,
                               int answer) {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(answer, STDERR_FILENO);
  const rlimit no_core = {0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(kMostSeconds);  // ends it
  const auto loaded = registry.load(manifest);
  const std::string line =
      loaded.ok() ? std::string(kLoaded) : std::string(kErrorWord) + loaded.error().message + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());  // fits a pipe
  ::_exit(loaded.ok() ? 0 : exit_code(loaded.error().code));
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> part;
  while (true) {
    const ssize_t got = uninterrupted([&] { return ::read(descriptor, part.data(), part.size()); });
    if (got <= 0) return text;
    if (text.size() < (1 << 20)) text.append(part.data(), static_cast<size_t>(got));
  }
}

// The first line that is an error, without that word; a plugin may have written others.
std::string error_in(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(kErrorWord)) return std::string(line.substr(kErrorWord.size()));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return "";
}

}  // namespace

Status probe_plugin(host::PluginRegistry& registry, const host::Manifest& manifest) {
  const auto cannot = [](const char* what) {
    return Error{ErrorCode::kEnvironment,
                 std::string("a plugin cannot be tried: ") + what + ": " + std::strerror(errno),
                 ""};
  };
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot("no pipe");
  const Descriptor reads(ends[0]);
  Descriptor writes(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return cannot("no process");
  if (child == 0) load_and_end(registry, manifest, writes.get());
  writes.close();
  const std::string answer = read_all(reads.get());
  const std::string said = error_in(answer);
  int status = 0;
  if (uninterrupted([&] { return ::waitpid(child, &status, 0); }) < 0) return cannot("lost it");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && answer.ends_with(kLoaded)) return {};
  const bool unreadable = WIFEXITED(status) &&
                          WEXITSTATUS(status) == exit_code(ErrorCode::kEnvironment) &&
                          said.find(" called exit() ") == said.npos;
  if (!said.empty())
    return Error{unreadable ? ErrorCode::kEnvironment : ErrorCode::kPlugin, said, ""};
  const std::string name = "plugin " + manifest.id + " (" + manifest.library_path + "): loading: ";
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return Error{ErrorCode::kPlugin,
                 name + "did not end within " + std::to_string(kMostSeconds) + " seconds", ""};
  return Error{
      ErrorCode::kPlugin,
      name + (WIFSIGNALED(status) ? "ended by signal " + std::to_string(WTERMSIG(status))
                                  : "ended with exit code " + std::to_string(WEXITSTATUS(status))),
      ""};
}

}  // namespace dbsa::cli
