// Bars and intervals in rows, each under its name, so that they fit any width. Drawn for the page
// without gnuplot: text is text there, and shapes are as wide as the page has room for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "icl/metrics.h"

namespace dbsa {

struct PictureRow {
  std::string name;
  size_t style = 0;        // of its method
  std::string value = {};  // what the picture says, in figures
  struct Bar {
    double left = 0, right = 0;
    size_t stage = 0;
  };
  std::vector<Bar> bars = {};
  std::optional<Interval> interval = {};
  std::optional<double> mark = {}, published = {};
};

struct RowPicture {
  std::vector<PictureRow> rows;
  double low = 0, high = 0;  // of all values; the axis reaches as far or a little farther
  std::string unit;          // of the numbers at the axis
};

// A list in HTML. Values must be finite.
std::string draw_rows(const RowPicture& picture);

// Round numbers, equally far apart, of which the first is not above `low` and the last not below
// `high`; from 3 to 8 of them.
std::vector<double> round_ticks(double low, double high);

}  // namespace dbsa
