// Lines of a pipe or a terminal, as they come. The memory they take is bounded: what a line has
// beyond the bound is read and thrown away.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace dbsa::cli {

struct InputLine {
  std::string text;  // without its end, LF or CRLF; "" where it is too long
  bool too_long = false;
};

class InputLines {
 public:
  // max_bytes: of a line. cancelled() ends the reading when a signal has come in.
  InputLines(int descriptor, size_t max_bytes, std::function<bool()> cancelled)
      : descriptor_(descriptor), max_bytes_(max_bytes), cancelled_(std::move(cancelled)) {}

  // False at the end, on a signal, and when the input cannot be read, which failed() tells.
  bool next(InputLine& line);
  // Whether another whole line was read already.
  bool ready() const { return buffer_.find('\n', begin_) != buffer_.npos; }
  int64_t number() const { return number_; }  // of the last line, from 1
  bool failed() const { return failed_; }

 private:
  bool fill();

  int descriptor_;
  size_t max_bytes_;
  std::function<bool()> cancelled_;
  std::string buffer_;  // what was read, and from begin_ on not yet given out
  size_t begin_ = 0;
  bool ended_ = false, failed_ = false;
  int64_t number_ = 0;
};

}  // namespace dbsa::cli
