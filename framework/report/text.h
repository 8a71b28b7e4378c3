// Texts and numbers as the files of a report show them. A text comes from a file or the command
// line and may hold any bytes; each target language has one function, which everything that is not
// our own words goes through. What is not UTF-8 becomes U+FFFD.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "report/statistics.h"

namespace dbsa {

// Control characters, line separators, and bidirectional overrides and isolates become spaces; tabs
// and line ends stay in CSV.
//
// For element content and quoted attributes.
std::string html_text(std::string_view text);
// For a line or a table's cell: no character starts markup, breaks a line or a cell.
std::string markdown_text(std::string_view text);
// A field as RFC 4180 has it, in quotes where it must be. An apostrophe stands before a text that a
// spreadsheet would take for a formula; numbers are left as they are.
std::string csv_field(std::string_view text);
// A quoted string of gnuplot, in which nothing is expanded. Not for ticks.
std::string gnuplot_text(std::string_view text);
// An entry of `set xtics (...)`, whose labels are formats of gnuplot.
std::string gnuplot_tick(std::string_view text, double at);
// At most `width` code points; where something is left out an ellipsis stands in the middle, for
// names often differ at their ends.
std::string cut_text(const std::string& text, size_t width);

std::string fixed(double value, int digits);        // "0.843"
std::string significant(double value, int digits);  // "12.3", "0.00123", "1230"
std::string grouped(double value);                  // "24,310"
// "0.843", and with an interval "0.843 (0.801 to 0.885)".
std::string with_interval(const Summary& summary, int digits);
// "draws and queries": what an interval speaks for, its rows by that name; "" for neither.
std::string covers_text(const Covers& covers, const std::string& rows);
// Shortest text that reads back as the value.
std::string exact(double value);

// A unit that suits values up to `most`.
struct Unit {
  const char* name;
  double size;
};
Unit time_unit(double most_seconds);
Unit byte_unit(double most_bytes);

}  // namespace dbsa
