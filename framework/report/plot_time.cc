// Time of a request, total time against requests, and memory against context.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "report/plot_script.h"
#include "report/row_picture.h"
#include "report/text.h"

namespace dbsa {
namespace {

// ---- stages of a request
// -------------------------------------------------------------------------

double stage_sum(const ReportGroup& group) {
  double sum = 0;
  for (const double seconds : group.stages) sum += seconds;
  return sum;
}

Plot bar_plot(const Study& study, const Panel& panel, const Unit& unit) {
  RowPicture picture;
  picture.unit = unit.name;
  std::set<size_t> stages;
  for (const size_t item : panel.items) {
    const ReportGroup& group = study.groups[item];
    PictureRow row{row_label(study, item, panel), group.method};
    double left = 0;
    for (size_t stage = 0; stage < kAnswerSteps.size(); ++stage) {
      const double right = left + group.stages[stage] / unit.size;
      if (right > left) {
        row.bars.push_back({left, right, stage});
        stages.insert(stage);
      }
      left = right;
    }
    row.value = significant(left, 3) + " " + unit.name;
    picture.high = std::max(picture.high, left);
    picture.rows.push_back(std::move(row));
  }
  Plot plot{panel.title, "", {}, draw_rows(picture)};
  for (const size_t stage : stages)
    plot.legend.push_back({LegendEntry::Mark::kStage, stage, kAnswerSteps[stage]});
  return plot;
}

// ---- total time
// ----------------------------------------------------------------------------------

struct Line {
  size_t group = 0;
  Cost cost;
  std::string name;
};

double total(const Line& line, double requests) {
  return line.cost.setup + requests * line.cost.request;
}

// A decade beyond the last crossing.
double most_requests(const std::vector<BreakEven>& crossings) {
  double most = 300;
  for (const BreakEven& crossing : crossings) most = std::max(most, crossing.at.requests);
  return std::min(1e7, std::pow(10.0, std::ceil(std::log10(most) + 0.3)));
}

Plot cost_plot(const Study& study, const std::string& title, const std::vector<Line>& lines) {
  std::vector<BreakEven> crossings;
  for (const BreakEven& crossing : study.break_even) {
    const auto shown = [&](size_t group) {
      return std::any_of(lines.begin(), lines.end(),
                         [&](const Line& line) { return line.group == group; });
    };
    if (shown(crossing.hasty) && shown(crossing.patient) && crossing.at.requests >= 1)
      crossings.push_back(crossing);
  }
  const double most = most_requests(crossings);
  Range x, y;
  x.add(1);
  x.add(most);
  std::string data, commands;
  Plot plot{title, "", {}, ""};
  for (size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::vector<double>> rows;
    constexpr int kCurvePoints = 81;
    for (int k = 0; k < kCurvePoints; ++k) {
      const double requests = std::pow(most, static_cast<double>(k) / (kCurvePoints - 1));
      rows.push_back({requests, total(lines[i], requests)});
      y.add(rows.back()[1]);
    }
    data += data_block("s" + std::to_string(i), rows);
    commands += (i == 0 ? "$s" : ", $s") + std::to_string(i) +
                " using 1:2 with linespoints pi 16 ps 0.9 lw 2.2 " +
                point_style(study.groups[lines[i].group].method);
    plot.legend.push_back(
        {LegendEntry::Mark::kSeries, study.groups[lines[i].group].method, lines[i].name});
  }
  std::vector<std::vector<double>> marks;
  for (const BreakEven& crossing : crossings)
    if (crossing.at.requests <= most) marks.push_back({crossing.at.requests, crossing.at.seconds});
  if (!marks.empty()) {
    data += data_block("marks", marks);
    commands += ", $marks using 1:2 with points pt 6 ps 1.3 lw 1.6 lc rgb '#111111'";
    plot.legend.push_back({LegendEntry::Mark::kCrossing, 0, "break-even"});
  }
  plot.script = plot_head(420) + range_command('x', x, true) + range_command('y', y, true) +
                decade_ticks('x', x, "") + decade_ticks('y', y, "s") +
                "set xlabel 'requests'\nset ylabel 'setup and all requests'\n" + data + "plot " +
                commands + "\n";
  return plot;
}

// Whether the bundle is shown: where pools of several sizes make separate bundles, only the largest
// is.
bool is_largest(const Study& study, const std::vector<size_t>& bundle) {
  constexpr size_t kFew = 4;
  if (!study.numeric || !study.bundle_axes.contains(study.numeric->axis) ||
      study.bundles.size() <= kFew)
    return true;
  const double most = *std::max_element(study.numeric->x.begin(), study.numeric->x.end());
  return std::any_of(bundle.begin(), bundle.end(),
                     [&](size_t group) { return study.numeric->x[group] == most; });
}

// ---- memory
// --------------------------------------------------------------------------------------

Plot kv_plot(const Study& study, const std::string& title,
             const std::vector<std::pair<std::string, std::vector<size_t>>>& series) {
  Range x, bytes;
  for (const auto& [name, members] : series)
    for (const size_t group : members) {
      x.add(study.groups[group].tokens);
      bytes.add(study.groups[group].kv_bytes);
    }
  const auto style_of = [&](size_t i) { return study.groups[series[i].second.front()].method; };
  const Unit unit = byte_unit(bytes.high);
  Range y;
  y.add(bytes.low / unit.size);
  y.add(bytes.high / unit.size);
  std::string data, commands;
  Plot plot{title, "", {}, ""};
  for (size_t i = 0; i < series.size(); ++i) {
    std::vector<std::vector<double>> rows;
    for (const size_t group : series[i].second)
      rows.push_back({study.groups[group].tokens, study.groups[group].kv_bytes / unit.size});
    std::sort(rows.begin(), rows.end());
    data += data_block("s" + std::to_string(i), rows);
    // Series that coincide stay visible one inside the other.
    const double size = 1.0 + 0.35 * static_cast<double>(series.size() - 1 - i);
    commands += (i == 0 ? "$s" : ", $s") + std::to_string(i) +
                " using 1:2 with linespoints lw 1.6 ps " + plot_number(size) + " " +
                point_style(style_of(i));
    plot.legend.push_back({LegendEntry::Mark::kSeries, style_of(i), series[i].first});
  }
  const bool logarithmic = suits_log(x) && suits_log(y);
  std::vector<double> sizes;
  for (const auto& [name, members] : series)
    for (const size_t group : members) sizes.push_back(study.groups[group].tokens);
  plot.script = plot_head(380) + range_command('x', x, logarithmic) +
                range_command('y', y, logarithmic) + value_ticks(sizes, x, logarithmic) +
                "set xlabel 'tokens of the pool'\nset ylabel 'keys and values (" + unit.name +
                ")'\n" + data + "plot " + commands + "\n";
  return plot;
}

// Groups of one method, such as on several data sets.
std::vector<std::vector<size_t>> by_method(const Study& study) {
  std::vector<std::vector<size_t>> out(study.methods);
  for (size_t i = 0; i < study.groups.size(); ++i) out[study.groups[i].method].push_back(i);
  return out;
}

}  // namespace

std::vector<Plot> latency_plots(const Study& study) {
  std::vector<size_t> all;
  double most = 0;
  for (size_t i = 0; i < study.groups.size(); ++i) {
    all.push_back(i);
    most = std::max(most, stage_sum(study.groups[i]));
  }
  std::vector<Plot> plots;
  if (most == 0) return plots;
  for (const Panel& panel : make_panels(values_of_groups(study, all), study.input.axes, kMostRows))
    plots.push_back(bar_plot(study, panel, time_unit(most)));
  return plots;
}

std::vector<Plot> cost_plots(const Study& study) {
  std::vector<Plot> plots;
  for (const std::vector<size_t>& bundle : study.bundles) {
    if (!is_largest(study, bundle)) continue;
    const std::string choice = study.numeric ? study.numeric->axis : "";
    for (const Panel& panel :
         make_panels(values_of_groups(study, bundle), study.input.axes, kMostSeries, choice)) {
      std::vector<Line> lines;
      for (const size_t item : panel.items) {
        const ReportGroup& group = study.groups[bundle[item]];
        if (group.request_mean.mean > 0)
          lines.push_back({bundle[item],
                           {group.setup.mean, group.request_mean.mean},
                           name_in_bundle(study, bundle[item], panel.axis)});
      }
      const std::string name = bundle_name(study, bundle.front());
      const std::string title =
          name + (name.empty() || panel.title.empty() ? "" : ", ") + panel.title;
      if (!lines.empty()) plots.push_back(cost_plot(study, title, lines));
    }
  }
  return plots;
}

std::vector<Plot> kv_plots(const Study& study) {
  std::vector<std::pair<std::string, std::vector<size_t>>> series;
  std::vector<AxisValues> values;
  std::vector<double> sizes;
  const auto add = [&](const std::vector<size_t>& members, const std::set<std::string>& skip) {
    std::vector<size_t> stored;
    for (const size_t group : members)
      if (study.groups[group].kv_bytes > 0 && study.groups[group].tokens > 0) {
        stored.push_back(group);
        sizes.push_back(study.groups[group].tokens);
      }
    if (stored.empty()) return;
    const ReportGroup& first = study.groups[stored.front()];
    const std::string name = name_of_values(first.values, study.input, skip);
    series.emplace_back(name.empty() ? "pool" : name, std::move(stored));
    values.push_back(first.values);
  };
  if (study.numeric) {
    for (const std::vector<size_t>& members : study.numeric->series)
      add(members, {study.numeric->axis});
  } else {
    for (const std::vector<size_t>& members : by_method(study)) add(members, study.bundle_axes);
  }
  std::vector<Plot> plots;
  std::sort(sizes.begin(), sizes.end());
  if (sizes.empty() || sizes.back() < 1.2 * sizes.front()) return plots;
  std::vector<SweepAxis> axes = study.input.axes;
  if (study.numeric)
    std::erase_if(axes, [&](const SweepAxis& axis) { return axis.name == study.numeric->axis; });
  std::set<std::string> apart;
  if (study.numeric) apart = study.bundle_axes;
  if (study.numeric) apart.erase(study.numeric->axis);
  for (const Panel& panel : make_panels_apart(values, axes, apart, kMostSeries)) {
    std::vector<std::pair<std::string, std::vector<size_t>>> shown;
    for (const size_t item : panel.items) shown.push_back(series[item]);
    plots.push_back(kv_plot(study, panel.title, shown));
  }
  return plots;
}

}  // namespace dbsa
