// Terminal: where a command writes. Results go to standard output, everything else - errors, log
// lines, progress - to standard error. What would drive a terminal in a text is shown, not sent
// (see visible_text.h), no matter which file the text came from and where it goes.
//
// On a terminal lines are coloured and progress is one line redrawn in place. With NO_COLOR it is
// redrawn without escape codes; elsewhere, and where TERM is "dumb", there are none either, and
// progress is a plain line now and then.
#pragma once

#include <dbsa/sdk/result.h>

#include <cerrno>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/stopwatch.h"
#include "terminal/visible_text.h"

namespace dbsa::cli {

// Whether a terminal may be sent escape codes: NO_COLOR is not set, and TERM is not "dumb".
bool escapes_wanted();

enum class Style { kBold, kDim, kRed, kGreen, kYellow };

class Terminal {
 public:
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void set_quiet(bool quiet) { quiet_ = quiet; }
  bool out_is_terminal() const { return out_is_terminal_; }

  // A line of results, on standard output. What cannot be written is told by close_out().
  void out(std::string_view line);
  // Bytes of a table, on standard output: as they are, except on a terminal.
  void out_bytes(std::string_view bytes);
  // Whether a line could not be written: the reader is gone, or the disk is full.
  bool out_failed() const { return out_error_ != 0; }
  bool reader_left() const { return out_error_ == EPIPE; }
  // Ends standard output. kEnvironment where anything could not be written.
  Status close_out();
  // With --json standard output gets one document (json_output.h), or an error where there is none.
  void expect_document() { document_ = Document::kExpected; }
  void document_given() { document_ = Document::kGiven; }
  bool lacks_document() const { return document_ == Document::kExpected; }
  // A line for people, on standard error; left out when quiet.
  void note(std::string_view line);
  // The same, also when quiet.
  void say(std::string_view line);
  // "error: <line>" for each line of the text, on standard error.
  void error(std::string_view text);
  // Also when quiet.
  void warning(std::string_view line);
  // What warning() was given, each text once, in order. After kMaxWarnings texts the last one says
  // how many more there were.
  std::vector<std::string> warnings();

  // Text in a style if standard output, or standard error, shows colours; for the functions above.
  std::string out_style(Style style, std::string_view text) const;
  std::string error_style(Style style, std::string_view text) const;

  // The line redrawn in place; "" takes it away. Without effect unless progress_shown().
  void set_progress(std::string_view line);
  // Lets the line stand as it is; the next one goes below.
  void drop_progress();
  bool progress_shown() const { return error_is_terminal_ && redraws_ && !quiet_; }
  int columns() const;      // of the terminal that progress is shown on
  int out_columns() const;  // of standard output's

 private:
  static constexpr size_t kMaxWarnings = 100;

  std::string styled(bool colour, Style style, std::string_view text) const;
  std::string shown(std::string_view text) const;
  std::string erase_progress() const;            // what takes the line away
  void write_error_line(std::string_view line);  // under mutex_

  enum class Document { kNone, kExpected, kGiven };

  bool quiet_ = false;
  Document document_ = Document::kNone;
  bool out_is_terminal_, error_is_terminal_, redraws_, escapes_, out_colour_, error_colour_;
  int out_error_ = 0;     // errno of the first line that could not be written
  std::mutex mutex_;      // the log writes from any thread
  std::string progress_;  // as it is shown
  std::vector<std::string> warnings_;
  int64_t warnings_not_kept_ = 0;
  // Stands before the number of a style in a text. Drawn at the start, so that no file has it.
  std::string style_mark_;
};

// What a long job does: a bar with speed and time left on a terminal, else a line every few
// seconds.
class Progress {
 public:
  // unit: of `done` and `total`, "tokens".
  Progress(Terminal& terminal, std::string title, std::string unit);
  ~Progress();
  // detail: shown at the end of the line.
  void update(int64_t done, int64_t total, const std::string& detail = "");
  void finish();

 private:
  std::string bar(double share, size_t width) const;
  std::string pace(int64_t done, int64_t total) const;
  // With a bar, in at most `columns`: what there is no room for is left out, the counts never.
  // Without, the whole text.
  std::string line(int64_t done, int64_t total, const std::string& detail,
                   std::optional<size_t> columns) const;

  Terminal& terminal_;
  std::string title_, unit_;
  Stopwatch clock_;
  double shown_at_ = -1;  // seconds of clock_
};

// Rows in aligned columns, two spaces between. On a terminal the last column is wrapped. Cells are
// plain text, without a style.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print(Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Words of a text in lines of at most `width` columns; a longer word gets its own line.
std::vector<std::string> wrap_text(const std::string& text, size_t width);
// How many columns UTF-8 text takes, counting one for each code point.
size_t text_width(std::string_view text);

}  // namespace dbsa::cli
