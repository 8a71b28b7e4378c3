#include "report/plot_script.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/text.h"

namespace dbsa {
namespace {

// Okabe and Ito's, its yellow left out.
constexpr std::array<std::string_view, kMostSeries> kColours = {
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#882255"};
// gnuplot's, in the order of the page's own markers: filled and open.
constexpr std::array<int, kMostSeries> kPointTypes = {7, 5, 9, 11, 13, 6, 4, 8};
constexpr std::array<std::string_view, kStages.size()> kStageColours = {
    "#56B4E9", "#0072B2", "#999999", "#D55E00", "#E69F00", "#882255"};

std::vector<Panel> split_by(const std::vector<AxisValues>& values, const SweepAxis& axis) {
  std::vector<Panel> panels;
  for (const std::string& value : axis.values) {
    Panel panel{axis.name + ": " + value, {}, axis.name};
    for (size_t i = 0; i < values.size(); ++i) {
      const auto it = values[i].find(axis.name);
      if (it != values[i].end() && it->second == value) panel.items.push_back(i);
    }
    if (!panel.items.empty()) panels.push_back(std::move(panel));
  }
  return panels;
}

bool fits(const std::vector<Panel>& panels, size_t count, size_t limit) {
  size_t shown = 0;
  for (const Panel& panel : panels) {
    if (panel.items.size() > limit) return false;
    shown += panel.items.size();
  }
  return shown == count;  // no item without a value
}

std::vector<Panel> split_in_order(size_t count, size_t limit) {
  std::vector<Panel> panels;
  const size_t parts = (count + limit - 1) / limit;
  for (size_t part = 0; part < parts; ++part) {
    Panel panel{"part " + std::to_string(part + 1) + " of " + std::to_string(parts), {}, ""};
    for (size_t i = part * count / parts; i < (part + 1) * count / parts; ++i)
      panel.items.push_back(i);
    panels.push_back(std::move(panel));
  }
  return panels;
}

}  // namespace

std::string_view series_colour(size_t index) { return kColours[index % kColours.size()]; }
std::string_view stage_colour(size_t stage) { return kStageColours[stage % kStages.size()]; }

std::vector<Panel> make_panels(const std::vector<AxisValues>& values,
                               const std::vector<SweepAxis>& axes, size_t limit,
                               const std::string& first_choice) {
  Panel all;
  for (size_t i = 0; i < values.size(); ++i) all.items.push_back(i);
  if (values.size() <= limit) return {all};
  std::vector<Panel> best;
  for (const SweepAxis& axis : axes) {
    std::vector<Panel> panels = split_by(values, axis);
    // Panels of one item each would compare nothing.
    if (panels.size() < 2 || 2 * panels.size() > values.size() ||
        !fits(panels, values.size(), limit))
      continue;
    const bool chosen = axis.name == first_choice;
    if (best.empty() || panels.size() < best.size() || (chosen && panels.size() == best.size()))
      best = std::move(panels);
  }
  return best.empty() ? split_in_order(values.size(), limit) : best;
}

std::vector<AxisValues> values_of_groups(const Study& study, std::span<const size_t> groups) {
  std::vector<AxisValues> values;
  for (const size_t group : groups) values.push_back(study.groups[group].values);
  return values;
}

std::string row_label(const Study& study, size_t group, const Panel& panel) {
  std::string label;
  const AxisValues& values = study.groups[group].values;
  for (const SweepAxis& axis : study.input.axes) {
    if (axis.values.size() < 2 || axis.name == panel.axis) continue;
    const auto value = values.find(axis.name);
    label += (label.empty() ? "" : " · ") + (axis.is_identity ? axis.name + " " : "") +
             (value == values.end() ? "–" : value->second);
  }
  return cut_text(label.empty() ? study.groups[group].name : label, 42);
}

std::string plot_head(int height) {
  return "set terminal svg size 820," + std::to_string(height) +
         " noenhanced font 'sans-serif,15'\n"
         "set encoding utf8\n"
         "unset key\n"
         "set border 3 lc rgb '#767676'\n"
         "set tics nomirror out scale 0.6 textcolor rgb '#222222'\n"
         "set grid x y lt 1 lc rgb '#E4E4E4' lw 1\n"
         "set bars small\n";
}

std::string plot_number(double value) { return exact(value); }

std::string data_block(const std::string& name, const std::vector<std::vector<double>>& rows) {
  std::string block = "$" + name + " << EOD\n";
  for (const std::vector<double>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) block += (i > 0 ? " " : "") + plot_number(row[i]);
    block += "\n";
  }
  return block + "EOD\n";
}

std::string line_style(size_t series) {
  return "lc rgb '" + std::string(series_colour(series)) + "'";
}

std::string point_style(size_t series) {
  return "pt " + std::to_string(kPointTypes[series % kPointTypes.size()]) + " " +
         line_style(series);
}

void Range::add(double value) {
  low = empty_ ? value : std::min(low, value);
  high = empty_ ? value : std::max(high, value);
  empty_ = false;
}

bool suits_log(const Range& range) { return range.low > 0 && range.high > 10 * range.low; }

std::string range_command(char axis, const Range& range, bool logarithmic) {
  double low = range.low, high = range.high;
  if (logarithmic) {
    const double room = std::pow(high / low, 0.05);
    low /= room;
    high *= room;
  } else {
    const double room = high > low ? 0.05 * (high - low) : std::max(0.5, 0.05 * std::fabs(high));
    low -= room;
    high += room;
  }
  return std::string("set ") + axis + "range [" + plot_number(low) + ":" + plot_number(high) +
         "]\n" + (logarithmic ? std::string("set logscale ") + axis + "\n" : "");
}

std::string value_ticks(std::vector<double> values, const Range& range, bool logarithmic) {
  std::sort(values.begin(), values.end());
  const auto place = [&](double x) {
    return logarithmic ? std::log(x / range.low) / std::log(range.high / range.low)
                       : (x - range.low) / (range.high - range.low);
  };
  std::string ticks;
  double last = -1;
  for (const double value : values) {
    if (place(value) - last < 0.07) continue;
    last = place(value);
    const bool whole = value == std::floor(value) || value >= 1000;
    std::string text = whole ? grouped(value) : significant(value, 3);
    if (text.find('.') != text.npos) {
      text.erase(text.find_last_not_of('0') + 1);
      if (text.back() == '.') text.pop_back();
    }
    ticks += (ticks.empty() ? "" : ", ") + gnuplot_tick(text, value);
  }
  return "set xtics (" + ticks + ")\n";
}

std::string decade_ticks(char axis, const Range& range, const std::string& unit) {
  const auto first = static_cast<int>(std::floor(std::log10(range.low)));
  const auto last = static_cast<int>(std::ceil(std::log10(range.high)));
  const int step = std::max(1, (last - first) / 8);
  // In less than two decades, just the powers of ten are too few.
  const bool fine = range.high < 100 * range.low;
  std::string ticks;
  for (int power = first; power <= last; power += step)
    for (const double part : {1.0, 2.0, 5.0}) {
      if (part > 1 && !fine) break;
      const double value = part * std::pow(10.0, power);
      ticks += (ticks.empty() ? "" : ", ") +
               gnuplot_tick(significant(value, 1) + (unit.empty() ? "" : " " + unit), value);
    }
  return std::string("set ") + axis + "tics (" + ticks + ")\n";
}

}  // namespace dbsa
