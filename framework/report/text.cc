#include "report/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

#include "report/study.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

bool breaks_line(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

// Overrides and isolates, which turn the order of the letters around them.
bool turns_text(char32_t c) { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); }

// Valid UTF-8, with a space for each character that `is_unwanted`.
template <typename Unwanted>
std::string with_spaces_for(std::string_view text, Unwanted is_unwanted) {
  const std::string valid = utf8::to_valid(text);
  std::string out;
  for (size_t at = 0; at < valid.size();) {
    const char32_t c = utf8::next(valid, at);
    utf8::append(out, is_unwanted(c) ? U' ' : c);
  }
  return out;
}

// Valid UTF-8 in one line.
std::string one_line(std::string_view text) {
  return with_spaces_for(text, [](char32_t c) { return breaks_line(c) || turns_text(c); });
}

// Whether a spreadsheet computes the text. Some skip white space, some take full-width signs.
bool starts_formula(const std::string& text) {
  static constexpr std::u32string_view kSigns = U"=+-@\uff1d\uff0b\uff0d\uff20";
  for (size_t at = 0; at < text.size();) {
    const char32_t c = utf8::next(text, at);
    if (c == ' ' || breaks_line(c) || utf8::is_white_space(c)) continue;
    return kSigns.find(c) != kSigns.npos;
  }
  return false;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 400> text;  // a double takes up to 310 digits
  const int length = std::snprintf(text.data(), text.size(), pattern, values...);
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : one_line(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string markdown_text(std::string_view text) {
  static constexpr std::string_view kMarkup = "\\`*_[]<>|~&$#^{}@";
  std::string out;
  for (const char c : one_line(text)) {
    if (kMarkup.find(c) != kMarkup.npos) out += '\\';
    out += c;
  }
  return out;
}

std::string csv_field(std::string_view text) {
  std::string field = with_spaces_for(text, [](char32_t c) {
    const bool kept = c == '\t' || c == '\n' || c == '\r';
    return turns_text(c) || (breaks_line(c) && !kept);
  });
  if (starts_formula(field) && !as_number(field)) field.insert(0, "'");
  if (field.find_first_of(",;\t\"\r\n") == field.npos) return field;
  std::string out = "\"";
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string gnuplot_text(std::string_view text) {
  std::string out = "'";
  for (const char c : one_line(text)) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string gnuplot_tick(std::string_view text, double at) {
  std::string format;
  for (const char c : text) {
    if (c == '%') format += '%';
    format += c;
  }
  return gnuplot_text(format) + " " + exact(at);
}

std::string cut_text(const std::string& text, size_t width) {
  std::vector<size_t> points;  // where each begins
  for (size_t at = 0; at < text.size(); ++at)
    if (!is_continuation(text[at])) points.push_back(at);
  if (points.size() <= width || width == 0) return text;
  const size_t head = width / 2, tail = width - 1 - head;
  return text.substr(0, points[head]) + "…" +
         (tail == 0 ? "" : text.substr(points[points.size() - tail]));
}

std::string fixed(double value, int digits) {
  const std::string text = format("%.*f", digits, value);
  // Nothing is less than nothing.
  return text.find_first_not_of("-0.") == text.npos && text.front() == '-' ? text.substr(1) : text;
}

std::string significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return format("%g", value);
  const auto power = static_cast<int>(std::floor(std::log10(std::fabs(value))));
  if (power >= digits) return grouped(value);
  return fixed(value, std::min(digits - 1 - power, 9));
}

std::string grouped(double value) {
  std::string digits = fixed(value, 0);
  const size_t first = digits.front() == '-' ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string with_interval(const Summary& summary, int digits) {
  std::string text = fixed(summary.mean, digits);
  if (summary.interval)
    text += " (" + fixed(summary.interval->low, digits) + " to " +
            fixed(summary.interval->high, digits) + ")";
  return text;
}

std::string covers_text(const Covers& covers, const std::string& rows) {
  if (!covers.columns) return covers.rows ? rows : "";
  return covers.rows ? rows + " and queries" : "queries";
}

std::string exact(double value) {
  std::array<char, 40> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

Unit time_unit(double most_seconds) {
  return most_seconds < 9.995 ? Unit{"ms", 1e-3} : Unit{"s", 1};
}

Unit byte_unit(double most_bytes) {
  return most_bytes < 10.0 * (1 << 30) ? Unit{"MiB", 1 << 20} : Unit{"GiB", 1 << 30};
}

}  // namespace dbsa
