#include "report/plot_script.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/text.h"

namespace dbsa {
namespace {

struct Colour {
  const char* light;  // on a light ground; in a script
  const char* dark;
};
// After Okabe and Ito, without yellow, and darker or lighter as the ground asks.
constexpr std::array<Colour, 10> kColours = {{{"#0072B2", "#4DA3DB"},
                                              {"#D55E00", "#F08040"},
                                              {"#008F68", "#2EC397"},
                                              {"#C2649A", "#E29AC3"},
                                              {"#3A9BD1", "#9AD6F7"},
                                              {"#A87700", "#EDB93C"},
                                              {"#4D4D4D", "#BDBDBD"},
                                              {"#882255", "#D0659B"},
                                              {"#0B5B5B", "#5FB3B3"},
                                              {"#332288", "#A394E8"}}};
// gnuplot's, in the order of the page's own markers: filled and open.
constexpr std::array<int, 8> kPointTypes = {7, 5, 9, 11, 13, 6, 4, 8};
// After Tol's light scheme: paler than any method's.
constexpr std::array<Colour, kAnswerSteps.size()> kStageColours = {{{"#77AADD", "#77AADD"},
                                                                    {"#99DDFF", "#99DDFF"},
                                                                    {"#BBCC33", "#BBCC33"},
                                                                    {"#EE8866", "#EE8866"},
                                                                    {"#EEDD88", "#EEDD88"},
                                                                    {"#FFAABB", "#FFAABB"}}};
// The other colours of scripts, as gnuplot writes them, and what they are on the page.
constexpr std::array<std::pair<const char*, const char*>, 4> kScriptColours = {
    {{"rgb(34,34,34)", "--ink"},
     {"rgb(17,17,17)", "--ink"},
     {"rgb(118,118,118)", "--soft"},
     {"rgb(228,228,228)", "--line"}}};

// "rgb(0,114,178)"
std::string as_rgb(const std::string& hex) {
  std::string text = "rgb(";
  for (size_t at = 1; at < 7; at += 2)
    text += (at > 1 ? "," : "") + std::to_string(std::stoi(hex.substr(at, 2), nullptr, 16));
  return text + ")";
}

// The variable that stands for a colour of gnuplot's, or "".
std::string variable_of(const std::string& rgb) {
  for (size_t i = 0; i < kColours.size(); ++i)
    if (as_rgb(kColours[i].light) == rgb) return "--s" + std::to_string(i);
  for (const auto& [colour, variable] : kScriptColours)
    if (rgb == colour) return variable;
  return "";
}

std::vector<Panel> split_by(const std::vector<AxisValues>& values, const SweepAxis& axis) {
  std::vector<Panel> panels;
  for (const std::string& value : axis.values) {
    Panel panel{axis.name + ": " + value, {}, axis.name, {}};
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
    Panel panel{"part " + std::to_string(part + 1) + " of " + std::to_string(parts), {}, "", {}};
    for (size_t i = part * count / parts; i < (part + 1) * count / parts; ++i)
      panel.items.push_back(i);
    panels.push_back(std::move(panel));
  }
  return panels;
}

}  // namespace

std::string series_colour(size_t style) {
  return "var(--s" + std::to_string(style % kColours.size()) + ")";
}

std::string stage_colour(size_t stage) {
  return "var(--stage" + std::to_string(stage % kAnswerSteps.size()) + ")";
}

std::string colour_variables(bool dark) {
  std::string out;
  const auto add = [&](const std::string& name, const Colour& colour) {
    out += name + ": " + (dark ? colour.dark : colour.light) + "; ";
  };
  for (size_t i = 0; i < kColours.size(); ++i) add("--s" + std::to_string(i), kColours[i]);
  for (size_t i = 0; i < kAnswerSteps.size(); ++i)
    add("--stage" + std::to_string(i), kStageColours[i]);
  return out;
}

std::string with_colour_variables(std::string svg) {
  for (size_t at = svg.find("rgb("); at != svg.npos; at = svg.find("rgb(", at + 1)) {
    const size_t end = svg.find(')', at);
    if (end == svg.npos) break;
    std::string rgb = svg.substr(at, end + 1 - at);
    std::erase(rgb, ' ');
    const std::string variable = variable_of(rgb);
    if (!variable.empty()) svg.replace(at, end + 1 - at, "var(" + variable + ")");
  }
  // Text and axes without a colour, and the ground that markers stand out from.
  for (const auto& [name, variable] :
       {std::pair{"black", "var(--ink)"}, {"white", "var(--ground)"}})
    for (const std::string quote : {"\"", "'"}) {
      const std::string from = "=" + quote + name + quote, to = "=" + quote + variable + quote;
      for (size_t at = svg.find(from); at != svg.npos; at = svg.find(from, at))
        svg.replace(at, from.size(), to);
    }
  return svg;
}

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

std::vector<Panel> make_panels_apart(const std::vector<AxisValues>& values,
                                     const std::vector<SweepAxis>& axes,
                                     const std::set<std::string>& apart, size_t limit) {
  std::vector<std::pair<AxisValues, std::vector<size_t>>> sets;  // items by their values of `apart`
  for (size_t i = 0; i < values.size(); ++i) {
    AxisValues common = values[i];
    std::erase_if(common, [&](const auto& entry) { return !apart.contains(entry.first); });
    auto it = std::find_if(sets.begin(), sets.end(),
                           [&](const auto& entry) { return entry.first == common; });
    if (it == sets.end()) it = sets.insert(sets.end(), {common, {}});
    it->second.push_back(i);
  }
  std::vector<Panel> panels;
  for (const auto& [common, items] : sets) {
    std::string title;
    for (const auto& [axis, value] : common)
      if (sets.size() > 1) title += (title.empty() ? "" : ", ") + axis + ": " + value;
    std::vector<AxisValues> of_items;
    for (const size_t item : items) of_items.push_back(values[item]);
    for (Panel& panel : make_panels(of_items, axes, limit)) {
      for (size_t& item : panel.items) item = items[item];
      panel.title = title + (title.empty() || panel.title.empty() ? "" : ", ") + panel.title;
      if (sets.size() > 1) panel.common = common;
      panels.push_back(std::move(panel));
    }
  }
  return panels;
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
    if (axis.values.size() < 2 || axis.name == panel.axis || panel.common.contains(axis.name))
      continue;
    const auto value = values.find(axis.name);
    label += (label.empty() ? "" : " · ") + (axis.is_identity ? axis.name + " " : "") +
             (value == values.end() ? "–" : value->second);
  }
  return cut_text(label.empty() ? study.groups[group].name : label, 42);
}

std::string plot_head(int height) {
  return "set terminal svg size 620," + std::to_string(height) +
         " noenhanced font 'sans-serif,16'\n"
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

std::string line_style(size_t style) {
  return std::string("lc rgb '") + kColours[style % kColours.size()].light + "'";
}

std::string point_style(size_t style) {
  return "pt " + std::to_string(kPointTypes[style % kPointTypes.size()]) + " " + line_style(style);
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
    if (place(value) - last < 0.1) continue;
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
