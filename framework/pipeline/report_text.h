// Texts and numbers as the files of a report show them. Texts come from records and may hold
// anything that is UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pipeline/report_statistics.h"

namespace dbsa {

// For element content and quoted attributes. Control characters become spaces.
std::string html_text(std::string_view text);
// For a line or a table's cell: no character starts markup, breaks a line or a cell.
std::string markdown_text(std::string_view text);
// A field as RFC 4180 has it, in quotes where it must be.
std::string csv_field(std::string_view text);
// A quoted string of gnuplot, in which nothing is expanded.
std::string gnuplot_text(std::string_view text);
// At most `width` code points; where something is left out an ellipsis stands in the middle, for
// names often differ at their ends.
std::string cut_text(const std::string& text, size_t width);

std::string fixed(double value, int digits);        // "0.843"
std::string significant(double value, int digits);  // "12.3", "0.00123", "1230"
std::string grouped(double value);                  // "24,310"
// "0.843", and with an interval "0.843 (0.801 to 0.885)".
std::string with_interval(const Summary& summary, int digits);
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
