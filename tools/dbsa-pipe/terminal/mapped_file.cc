#include "terminal/mapped_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace dbsa::cli {
namespace {

// One line of /proc/self/maps: "7f00-7f10 r--s 00000000 fe:00 131    /path/of the file".
class MapsLine {
 public:
  void clear() { length_ = 0; }
  void add(char c) {
    if (length_ < text_.size()) text_[length_++] = c;
  }
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

}  // namespace

std::string_view mapped_file_at(uintptr_t address) {
  static MapsLine line;
  const int maps = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return {};
  std::array<char, 4096> chunk;
  line.clear();
  for (;;) {
    const ssize_t got = ::read(maps, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    for (const char c : std::string_view(chunk.data(), static_cast<size_t>(got))) {
      if (c != '\n') {
        line.add(static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c);
        continue;
      }
      if (const std::string_view path = line.path_of(address); !path.empty()) return path;
      line.clear();
    }
  }
}

}  // namespace dbsa::cli
