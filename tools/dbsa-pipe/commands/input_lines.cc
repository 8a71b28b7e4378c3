#include "commands/input_lines.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace dbsa::cli {

bool InputLines::next(InputLine& line) {
  line = {};
  bool begun = false;  // of a line that is too long nothing may be left in the buffer
  size_t searched = begin_;
  size_t end = 0;
  while ((end = buffer_.find('\n', searched)) == buffer_.npos) {
    searched = buffer_.size();
    if (searched - begin_ > max_bytes_) {
      line.too_long = true;
      begin_ = searched;
    }
    begun = begun || searched > begin_ || line.too_long;
    buffer_.erase(0, begin_);
    searched -= begin_;
    begin_ = 0;
    if (fill()) continue;
    if (!ended_ || !begun) return false;
    end = buffer_.size();
    break;
  }
  line.too_long = line.too_long || end - begin_ > max_bytes_;
  if (!line.too_long) line.text = buffer_.substr(begin_, end - begin_);
  begin_ = std::min(end + 1, buffer_.size());
  while (!line.text.empty() && line.text.back() == '\r') line.text.pop_back();
  ++number_;
  return true;
}

// A signal ends the reading, so it is done with read(2): C's and C++'s streams differ in whether
// they go on after one.
bool InputLines::fill() {
  if (ended_) return false;
  std::array<char, 65536> chunk;
  ssize_t length = 0;
  do length = ::read(descriptor_, chunk.data(), chunk.size());
  while (length < 0 && errno == EINTR && !cancelled_());
  if (length > 0) {
    buffer_.append(chunk.data(), static_cast<size_t>(length));
    return true;
  }
  ended_ = length == 0;
  failed_ = length < 0 && errno != EINTR;
  return false;
}

}  // namespace dbsa::cli
