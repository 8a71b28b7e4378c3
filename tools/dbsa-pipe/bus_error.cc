#include "bus_error.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/exit_code.h"

namespace dbsa::cli {
namespace {

// All of this runs in a signal handler: system calls and memory of its own, nothing else.

void write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// One line of /proc/self/maps: "7f00-7f10 r--s 00000000 fe:00 131    /path/of the file".
class MapsLine {
 public:
  void clear() { length_ = 0; }
  void add(char c) {
    if (length_ < text_.size()) text_[length_++] = c;
  }
  // The file's path if the address lies in this mapping and it is one of a file.
  std::string_view path_of(uintptr_t address) const {
    const std::string_view text(text_.data(), length_);
    size_t at = 0;
    const uintptr_t begin = number(text, at);
    if (at == text.size() || text[at++] != '-') return {};
    const uintptr_t end = number(text, at);
    if (address < begin || address >= end) return {};
    const size_t path = text.find('/', at);
    return path == text.npos ? std::string_view() : text.substr(path);
  }

 private:
  static uintptr_t number(std::string_view text, size_t& at) {
    uintptr_t value = 0;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c >= '0' && c <= '9')
        value = value * 16 + static_cast<uintptr_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        value = value * 16 + static_cast<uintptr_t>(c - 'a' + 10);
      else
        break;
    }
    return value;
  }
  std::array<char, 4608> text_;  // a path has 4,096 bytes at most
  size_t length_ = 0;
};

// Whether the address lies in a mapped file, whose path then goes to standard error.
bool name_file_at(uintptr_t address) {
  const int maps = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  static MapsLine line;
  std::array<char, 4096> chunk;
  line.clear();
  for (;;) {
    const ssize_t got = ::read(maps, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    for (const char c : std::string_view(chunk.data(), static_cast<size_t>(got))) {
      if (c != '\n') {
        line.add(static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c);
        continue;
      }
      if (const std::string_view path = line.path_of(address); !path.empty()) {
        write_error("\ndbsa-pipe: error: ");
        write_error(path);
        return true;
      }
      line.clear();
    }
  }
}

extern "C" void dbsa_on_bus_error(int signal_number, siginfo_t* info, void* /*context*/) {
  if (name_file_at(reinterpret_cast<uintptr_t>(info->si_addr))) {
    write_error(
        ": became shorter, or its disk cannot read it any more, while it was in use; nothing of "
        "this moment was kept. Put the file right, or remove it if it is a pack or packed weights, "
        "and run the command again\n");
    ::_exit(exit_code(ErrorCode::kEnvironment));
  }
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

}  // namespace

void name_file_on_bus_error() {
  struct sigaction action = {};
  action.sa_sigaction = dbsa_on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace dbsa::cli
