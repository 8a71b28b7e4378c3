#include "terminal/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "config/file_calls.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainLineSeconds = 5;

void write_to(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
}

// errno or 0.
int write_out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written =
        uninterrupted([&] { return ::write(STDOUT_FILENO, text.data(), text.size()); });
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

// Whether the cursor can go back to the start of its line.
bool can_redraw() {
  const char* kind = std::getenv("TERM");
  // Without a name it is a terminal of which nothing is known.
  return kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text = value;
    return text.find("UTF-8") != text.npos || text.find("utf8") != text.npos;
  }
  return false;
}

// The SGR codes of the styles, by number; the last one ends a style.
constexpr std::array<std::string_view, 6> kStyleCodes = {"1", "2", "31", "32", "33", "0"};

int columns_of(int descriptor) {
  winsize size = {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

// Text as cells of a line may not exceed the line, or redrawing would scroll.
std::string cut_to(const std::string& text, size_t width) {
  if (text_width(text) <= width) return text;
  size_t bytes = 0;
  for (size_t cells = 0; bytes < text.size(); ++bytes)
    if ((text[bytes] & 0xC0) != 0x80 && cells++ == width) break;
  return text.substr(0, bytes);
}

// A program may be started with its standard streams closed. The next files opened would take their
// place, and notes would be written into a KV pack. Reading and writing still fail as they should.
void keep_standard_streams_apart() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF)
      (void)::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

bool escapes_wanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  return (no_colour == nullptr || *no_colour == '\0') && can_redraw();
}

Terminal::Terminal()
    : out_is_terminal_(::isatty(STDOUT_FILENO) != 0),
      error_is_terminal_(::isatty(STDERR_FILENO) != 0),
      redraws_(can_redraw()),
      escapes_(escapes_wanted()),
      out_colour_(out_is_terminal_ && escapes_),
      error_colour_(error_is_terminal_ && escapes_) {
  keep_standard_streams_apart();
  uint64_t number = 0;
  if (::getentropy(&number, sizeof number) == 0)
    style_mark_ = "\x1b" + std::to_string(number) + ":";
  else
    out_colour_ = error_colour_ = false;
}

std::string Terminal::styled(bool colour, Style style, std::string_view text) const {
  if (!colour) return std::string(text);
  std::string out = style_mark_ + static_cast<char>('0' + static_cast<int>(style));
  return out.append(text).append(style_mark_) + static_cast<char>('0' + kStyleCodes.size() - 1);
}

std::string Terminal::shown(std::string_view text) const {
  std::string out;
  while (true) {
    const size_t end = style_mark_.empty() ? text.npos : text.find(style_mark_);
    out += visible_lines(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + style_mark_.size());
    const auto style = static_cast<size_t>(text.front() - '0');
    out.append("\x1b[").append(kStyleCodes[style]).append("m");
    text.remove_prefix(1);
  }
}

std::string Terminal::erase_progress() const {
  if (escapes_) return "\r\x1b[K";
  return "\r" + std::string(text_width(progress_), ' ') + "\r";
}

void Terminal::out(std::string_view line) {
  const std::lock_guard lock(mutex_);
  // Both streams may be one terminal.
  if (!progress_.empty() && out_is_terminal_) write_to(stderr, erase_progress());
  if (out_error_ == 0) out_error_ = write_out(shown(line) + "\n");
  if (!progress_.empty() && out_is_terminal_) write_to(stderr, progress_);
}

void Terminal::out_bytes(std::string_view bytes) {
  if (out_is_terminal_) {
    while (bytes.ends_with('\n') || bytes.ends_with('\r')) bytes.remove_suffix(1);
    return out(bytes);
  }
  const std::lock_guard lock(mutex_);
  if (out_error_ == 0) out_error_ = write_out(bytes);
}

Status Terminal::close_out() {
  const std::lock_guard lock(mutex_);
  // Some file systems tell only here that the disk is full. EINTR closes, too.
  if (::close(STDOUT_FILENO) != 0 && errno != EINTR && out_error_ == 0) out_error_ = errno;
  if (out_error_ != 0) return file_error("standard output", "be written", out_error_);
  return {};
}

void Terminal::write_error_line(std::string_view line) {
  std::string text;
  if (!progress_.empty()) text += erase_progress();
  text.append(shown(line)).append("\n").append(progress_);
  write_to(stderr, text);
}

void Terminal::note(std::string_view line) {
  if (!quiet_) say(line);
}

void Terminal::say(std::string_view line) {
  const std::lock_guard lock(mutex_);
  write_error_line(line);
}

void Terminal::error(std::string_view text) {
  const std::lock_guard lock(mutex_);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    write_error_line(error_style(Style::kRed, "error:") + " " + std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Terminal::warning(std::string_view line) {
  const std::lock_guard lock(mutex_);
  write_error_line(error_style(Style::kYellow, "warning:") + " " + std::string(line));
  if (std::find(warnings_.begin(), warnings_.end(), line) != warnings_.end()) return;
  if (warnings_.size() < kMaxWarnings)
    warnings_.emplace_back(line);
  else
    ++warnings_not_kept_;
}

std::vector<std::string> Terminal::warnings() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> kept = warnings_;
  if (warnings_not_kept_ > 0) kept.push_back(counted(warnings_not_kept_, "more warning"));
  return kept;
}

std::string Terminal::out_style(Style style, std::string_view text) const {
  return styled(out_colour_, style, text);
}

std::string Terminal::error_style(Style style, std::string_view text) const {
  return styled(error_colour_, style, text);
}

void Terminal::set_progress(std::string_view line) {
  if (!progress_shown()) return;
  const std::lock_guard lock(mutex_);
  if (line.empty() && progress_.empty()) return;
  const std::string erase = erase_progress();
  progress_ = shown(line);
  write_to(stderr, erase + progress_);
}

void Terminal::drop_progress() {
  const std::lock_guard lock(mutex_);
  progress_.clear();
}

int Terminal::columns() const { return columns_of(STDERR_FILENO); }
int Terminal::out_columns() const { return columns_of(STDOUT_FILENO); }

Progress::Progress(Terminal& terminal, std::string title, std::string unit)
    : terminal_(terminal), title_(std::move(title)), unit_(std::move(unit)) {}

Progress::~Progress() { finish(); }

void Progress::finish() { terminal_.set_progress(""); }

std::string Progress::bar(double share, size_t width) const {
  const bool utf8 = utf8_locale();
  const auto filled = static_cast<size_t>(share * static_cast<double>(width));
  std::string done, rest;
  for (size_t i = 0; i < width; ++i)
    (i < filled ? done : rest) += utf8 ? "━" : (i < filled ? "#" : "-");
  return terminal_.error_style(Style::kGreen, done) + terminal_.error_style(Style::kDim, rest);
}

// " tokens", or "  1,203 tokens/s  0:11 left"
std::string Progress::pace(int64_t done, int64_t total) const {
  const double seconds = clock_.seconds();
  // A rate taken over an instant says nothing.
  if (done <= 0 || seconds < 0.5) return " " + unit_;
  const double rate = static_cast<double>(done) / seconds;
  std::string text = "  " + human_rate(rate) + " " + unit_ + "/s";
  if (done < total)
    text += "  " + clock_seconds(static_cast<double>(total - done) / rate) + " left";
  return text;
}

std::string Progress::line(int64_t done, int64_t total, const std::string& detail,
                           std::optional<size_t> columns) const {
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  std::string percent = std::to_string(static_cast<int>(100 * share)) + " %";
  percent.insert(0, 5 - std::min<size_t>(5, percent.size()), ' ');
  const std::string count = human_count(done) + "/" + human_count(total);
  const std::string head = title_ + " ", middle = percent + "  ",
                    figures = count + pace(done, total);
  const std::string more = detail.empty() ? "" : "  " + visible_text(detail);
  std::string whole = head + middle + figures + more;
  if (!columns) return whole;
  const size_t width = text_width(whole);
  if (width + 11 <= *columns)
    return head + bar(share, std::min<size_t>(*columns - width - 1, 30)) + " " + middle + figures +
           more;
  if (text_width(head + middle + figures) <= *columns) return cut_to(whole, *columns);
  for (const std::string& text : {head + middle + count, head + count})
    if (text_width(text) <= *columns) return text;
  return cut_to(count, *columns);
}

void Progress::update(int64_t done, int64_t total, const std::string& detail) {
  const double now = clock_.seconds();
  const bool shown = terminal_.progress_shown();
  const bool first = shown_at_ < 0;
  // A log has no use for lines that say that nothing, or all, is done.
  if (!shown && (first || done >= total)) {
    if (first) shown_at_ = now;
    return;
  }
  if (!first && done < total && now - shown_at_ < (shown ? kRedrawSeconds : kPlainLineSeconds))
    return;
  shown_at_ = now;
  if (!shown) {
    terminal_.note(line(done, total, detail, std::nullopt));
    return;
  }
  // The last column stays free: a terminal may go to the next line once it is written.
  const int columns = std::max(terminal_.columns() - 1, 1);
  terminal_.set_progress(line(done, total, detail, static_cast<size_t>(columns)));
}

void Table::print(Terminal& terminal) const {
  const size_t last = columns_.size() - 1;
  std::vector<std::vector<std::string>> rows = rows_;
  for (auto& row : rows)
    for (std::string& cell : row) cell = visible_text(cell);
  std::vector<size_t> widths;
  size_t before = 0;  // columns that stand before the last one
  for (size_t i = 0; i <= last; ++i) {
    size_t width = text_width(columns_[i].title);
    for (const auto& row : rows) width = std::max(width, text_width(row[i]));
    widths.push_back(width);
    if (i < last) before += width + 2;
  }
  const auto line_of = [&](const auto& cell) {
    std::string line;
    for (size_t i = 0; i <= last; ++i) {
      const std::string text = cell(i);
      const std::string padding(widths[i] - std::min(widths[i], text_width(text)), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::kRight ? padding + text : text + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  };
  const auto columns = static_cast<size_t>(terminal.out_columns());
  const bool wrap = terminal.out_is_terminal() && before + widths[last] > columns &&
                    before + 20 <= columns && columns_[last].align == Align::kLeft;
  if (wrap) widths[last] = columns - before;
  terminal.out(
      terminal.out_style(Style::kBold, line_of([&](size_t i) { return columns_[i].title; })));
  for (const auto& row : rows) {
    std::vector<std::string> parts = {row[last]};
    if (wrap) parts = wrap_text(row[last], widths[last]);
    if (parts.empty()) parts = {""};
    terminal.out(line_of([&](size_t i) { return i == last ? parts.front() : row[i]; }));
    for (size_t part = 1; part < parts.size(); ++part)
      terminal.out(std::string(before, ' ') + parts[part]);
  }
}

std::vector<std::string> wrap_text(const std::string& text, size_t width) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (lines.empty() || text_width(lines.back()) + 1 + text_width(word) > width)
      lines.push_back(word);
    else
      lines.back() += " " + word;
  }
  return lines;
}

size_t text_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace dbsa::cli
