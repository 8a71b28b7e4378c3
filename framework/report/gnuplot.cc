#include "report/gnuplot.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "report/text.h"

extern char** environ;

namespace dbsa {
namespace {

// A file without a name, in memory: a child that reads and writes such files cannot block on us.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("gnuplot", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int descriptor() const { return descriptor_; }

  bool fill(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return ::lseek(descriptor_, 0, SEEK_SET) == 0;
  }

  Result<std::string> contents() const {
    std::string text;
    std::array<char, 1 << 16> part;
    for (off_t at = 0;;) {
      const ssize_t length = ::pread(descriptor_, part.data(), part.size(), at);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0)
        return Error{ErrorCode::kEnvironment,
                     std::string("its output cannot be read: ") + std::strerror(errno), ""};
      if (length == 0) return text;
      text.append(part.data(), static_cast<size_t>(length));
      at += length;
    }
  }

 private:
  int descriptor_;
};

Error failed(const std::string& what) { return Error{ErrorCode::kEnvironment, what, ""}; }

// The environment without what gnuplot takes settings from: a terminal that it was built without,
// or that needs a display, ends it before the script is read.
std::vector<char*> gnuplot_environment() {
  std::vector<char*> kept;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool is_setting = name == "GNUTERM" || name == "GNUHELP" || name == "FIT_LOG" ||
                            name == "FIT_SCRIPT" || name.starts_with("GNUPLOT_");
    if (!is_setting) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

// The child's id, or 0 with errno set.
pid_t start(const std::string& program, const MemoryFile& in, const MemoryFile& out,
            const MemoryFile& error) {
  posix_spawn_file_actions_t files;
  if (::posix_spawn_file_actions_init(&files) != 0) return 0;
  ::posix_spawn_file_actions_adddup2(&files, in.descriptor(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out.descriptor(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, error.descriptor(), STDERR_FILENO);
  std::string name = program;
  char defaults[] = "-d";  // the user's own settings take no part
  std::array<char*, 3> words = {name.data(), defaults, nullptr};
  std::vector<char*> environment = gnuplot_environment();
  pid_t child = 0;
  const int result =
      ::posix_spawnp(&child, program.c_str(), &files, nullptr, words.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  errno = result;
  return result == 0 ? child : 0;
}

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Ids and references in one tag.
std::string prefixed(std::string tag, const std::string& prefix) {
  for (const char* quote : {"'", "\""}) {
    replace_all(tag, std::string(" id=") + quote, std::string(" id=") + quote + prefix);
    replace_all(tag, std::string("href=") + quote + "#",
                std::string("href=") + quote + "#" + prefix);
  }
  replace_all(tag, "url(#", "url(#" + prefix);
  return tag;
}

std::string attribute(const std::string& tag, const std::string& name) {
  const size_t at = tag.find(name + "=\"");
  if (at == tag.npos) return "";
  const size_t begin = at + name.size() + 2;
  return tag.substr(begin, tag.find('"', begin) - begin);
}

}  // namespace

Result<std::string> run_gnuplot(const std::string& script, const std::string& program) {
  const MemoryFile in, out, error;
  if (in.descriptor() < 0 || out.descriptor() < 0 || error.descriptor() < 0 || !in.fill(script))
    return failed(std::string("gnuplot: no memory for its input and output: ") +
                  std::strerror(errno));
  const pid_t child = start(program, in, out, error);
  if (child == 0 && errno == ENOENT)
    return failed(program +
                  ": not found; it draws the plots of a report: install the package "
                  "gnuplot-nox");
  if (child == 0) return failed(program + ": cannot be started: " + std::strerror(errno));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return failed(program + ": cannot be waited for: " + std::strerror(errno));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const Result<std::string> said = error.contents();
    const std::string line = said.ok() ? last_line(*said) : said.error().message;
    return failed(program + ": ended with an error" + (line.empty() ? "" : ": " + line));
  }
  Result<std::string> text = out.contents();
  if (!text.ok()) return failed(program + ": " + text.error().message);
  return text;
}

std::string inline_svg(const std::string& svg, const std::string& prefix,
                       const std::string& label) {
  const size_t begin = svg.find("<svg");
  const size_t head_end = begin == svg.npos ? svg.npos : svg.find('>', begin);
  if (head_end == svg.npos) return "";
  const std::string head = svg.substr(begin, head_end - begin);
  std::string out = "<svg viewBox=\"" + html_text(attribute(head, "viewBox")) +
                    "\" width=\"100%\" role=\"img\" aria-label=\"" + html_text(label) + "\">";
  for (size_t at = head_end + 1; at < svg.size();) {
    const size_t tag = std::min(svg.find('<', at), svg.size());
    out += svg.substr(at, tag - at);
    if (tag == svg.size()) break;
    const size_t end = std::min(svg.find('>', tag), svg.size() - 1) + 1;
    out += prefixed(svg.substr(tag, end - tag), prefix);
    at = end;
  }
  // Titles of gnuplot's own show up as tool tips that say nothing.
  for (const auto& [open, close] : {std::pair{"<title>", "</title>"}, {"<desc>", "</desc>"}})
    for (size_t at = out.find(open); at != out.npos; at = out.find(open)) {
      const size_t end = out.find(close, at);
      out.erase(at, end == out.npos ? end : end + std::strlen(close) - at);
    }
  return out;
}

}  // namespace dbsa
