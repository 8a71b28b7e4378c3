// What the scripts of all plots share.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "report/plots.h"

namespace dbsa {

// Things to draw together.
struct Panel {
  std::string title;
  std::vector<size_t> items;
  std::string axis;   // that all have one value of, if any
  AxisValues common;  // further values that all have and the title says
};
// `values`: of each item. All in one panel if at most `limit`, else split by the axis that takes
// the fewest panels (`first_choice` on a tie), else in order.
std::vector<Panel> make_panels(const std::vector<AxisValues>& values,
                               const std::vector<SweepAxis>& axes, size_t limit,
                               const std::string& first_choice = "");
// The same for each set of items that have equal values of the axes `apart`, one after the other:
// so that no method is twice in a panel.
std::vector<Panel> make_panels_apart(const std::vector<AxisValues>& values,
                                     const std::vector<SweepAxis>& axes,
                                     const std::set<std::string>& apart, size_t limit);
std::vector<AxisValues> values_of_groups(const Study& study, std::span<const size_t> groups);

// A group at its row: only its values, without what the panel's title says, short enough to stand
// there.
std::string row_label(const Study& study, size_t group, const Panel& panel);

// Terminal, borders and grid. height: in pixels at a width of 620, which a narrow window can show.
std::string plot_head(int height);
// "$name << EOD ... EOD" of rows of numbers.
std::string data_block(const std::string& name, const std::vector<std::vector<double>>& rows);
std::string plot_number(double value);
// "lc rgb '#0072B2'", "pt 7 lc rgb '#0072B2'"
std::string line_style(size_t style);
std::string point_style(size_t style);

struct Range {
  double low = 0, high = 0;
  void add(double value);
  bool empty() const { return empty_; }

 private:
  bool empty_ = true;
};
// Whether a logarithmic axis suits: all values are positive and span more than 10x.
bool suits_log(const Range& range);
// "set xrange [..]", with room at both ends.
std::string range_command(char axis, const Range& range, bool logarithmic);
// Ticks at the values themselves, those left out that would touch their neighbour.
std::string value_ticks(std::vector<double> values, const Range& range, bool logarithmic);
// Ticks at powers of ten, with a unit; for a range that has been widened already.
std::string decade_ticks(char axis, const Range& range, const std::string& unit);

}  // namespace dbsa
