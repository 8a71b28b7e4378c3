// Accuracy, along a quantity or in rows.
#include <algorithm>
#include <cmath>
#include <set>

#include "report/plot_script.h"
#include "report/row_picture.h"
#include "report/text.h"

namespace dbsa {
namespace {

constexpr const char* kPublishedStyle = "pt 12 ps 1.5 lw 2";

Interval shown_interval(const Summary& accuracy) {
  return accuracy.interval.value_or(Interval{accuracy.mean, accuracy.mean});
}

// The published accuracy of a group, if there is one.
std::optional<double> published_accuracy(const Study& study, size_t group) {
  for (const PublishedRow& row : study.published)
    if (row.group == group && row.figure.metric == "accuracy") return row.figure.value;
  return {};
}

void widen(Range& range, const Study& study, size_t group) {
  const auto& accuracy = study.groups[group].accuracy;
  if (!accuracy) return;
  range.add(shown_interval(*accuracy).low);
  range.add(shown_interval(*accuracy).high);
  if (const auto published = published_accuracy(study, group)) range.add(*published);
}

// ---- along a quantity
// ----------------------------------------------------------------------------

class LinePlot {
 public:
  LinePlot(const Study& study, const NumericAxis& numeric) : study_(study), numeric_(numeric) {}

  // series: which of numeric.series.
  Plot make(const Panel& panel) {
    for (const size_t index : panel.items)
      for (const size_t group : numeric_.series[index]) measure(group, is_flat(index));
    const bool logarithmic = suits_log(x_);
    std::string head = plot_head(400) + range_command('x', x_, logarithmic) +
                       range_command('y', y_, false) + value_ticks(ticks_, x_, logarithmic) +
                       "set xlabel " + gnuplot_text(cut_text(numeric_.label, 80)) +
                       "\nset ylabel 'accuracy'\n";
    for (size_t i = 0; i < panel.items.size(); ++i)
      add_series(panel, i, dodge(i, panel.items.size(), logarithmic), logarithmic);
    Plot plot{panel.title, head + data_ + "plot " + commands_ + "\n", std::move(legend_), ""};
    if (any_published_) plot.legend.push_back({LegendEntry::Mark::kPublished, 0, "published"});
    return plot;
  }

 private:
  // A series that does not move along the axis, as zero-shot, is a level.
  bool is_flat(size_t index) const {
    const std::vector<size_t>& members = numeric_.series[index];
    return numeric_.x[members.front()] == numeric_.x[members.back()] && numeric_.series.size() > 1;
  }

  void measure(size_t group, bool flat) {
    widen(y_, study_, group);
    if (flat || !study_.groups[group].accuracy) return;
    x_.add(numeric_.x[group]);
    ticks_.push_back(numeric_.x[group]);
  }

  // Series side by side, so that their bars do not cover each other. In parts of the axis.
  double dodge(size_t i, size_t count, bool logarithmic) const {
    const double place = static_cast<double>(i) - static_cast<double>(count - 1) / 2;
    const double span = logarithmic ? std::log(x_.high / x_.low) : x_.high - x_.low;
    return place * 0.008 * span;
  }

  void plot(const std::string& command) { commands_ += (commands_.empty() ? "" : ", ") + command; }

  void add_series(const Panel& panel, size_t place, double shift, bool logarithmic) {
    const size_t index = panel.items[place];
    std::vector<std::vector<double>> rows, published;
    for (const size_t group : numeric_.series[index]) {
      const auto& accuracy = study_.groups[group].accuracy;
      const double x = logarithmic && !is_flat(index) ? numeric_.x[group] * std::exp(shift)
                                                      : numeric_.x[group] + shift;
      if (accuracy)
        rows.push_back(
            {x, accuracy->mean, shown_interval(*accuracy).low, shown_interval(*accuracy).high});
      if (const auto value = published_accuracy(study_, group)) published.push_back({x, *value});
    }
    if (rows.empty()) return;
    const size_t first = numeric_.series[index].front();
    const size_t style = study_.groups[first].method;
    std::set<std::string> said = {numeric_.axis, panel.axis};
    for (const auto& [axis, value] : panel.common) said.insert(axis);
    std::string name = name_of_values(study_.groups[first].values, study_.input, said);
    if (name.empty()) name = "accuracy";
    if (is_flat(index)) {
      plot(plot_number(rows.front()[1]) + " with lines dt 2 lw 2 " + line_style(style));
      legend_.push_back({LegendEntry::Mark::kSeries, style, name + " (dashed)"});
      return;
    }
    const std::string block = "s" + std::to_string(place);
    data_ += data_block(block, rows);
    plot("$" + block + " using 1:2 with lines lw 2 " + line_style(style));
    plot("$" + block + " using 1:2:3:4 with yerrorbars lw 1.5 ps 1 " + point_style(style));
    legend_.push_back({LegendEntry::Mark::kSeries, style, name});
    if (published.empty()) return;
    any_published_ = true;
    data_ += data_block("p" + std::to_string(place), published);
    plot("$p" + std::to_string(place) + " using 1:2 with points " + kPublishedStyle + " " +
         line_style(style));
  }

  const Study& study_;
  const NumericAxis& numeric_;
  Range x_, y_;
  std::vector<double> ticks_;
  std::string data_, commands_;
  std::vector<LegendEntry> legend_;
  bool any_published_ = false;
};

std::vector<Plot> line_plots(const Study& study, const NumericAxis& numeric) {
  std::vector<AxisValues> values;
  for (const std::vector<size_t>& members : numeric.series)
    values.push_back(study.groups[members.front()].values);
  std::vector<SweepAxis> axes = study.input.axes;
  std::erase_if(axes, [&](const SweepAxis& axis) { return axis.name == numeric.axis; });
  std::vector<Plot> plots;
  std::set<std::string> apart = study.bundle_axes;
  apart.erase(numeric.axis);
  for (const Panel& panel : make_panels_apart(values, axes, apart, kMostSeries)) {
    const bool any = std::any_of(panel.items.begin(), panel.items.end(), [&](size_t index) {
      const std::vector<size_t>& members = numeric.series[index];
      return numeric.x[members.front()] != numeric.x[members.back()] &&
             std::any_of(members.begin(), members.end(),
                         [&](size_t group) { return study.groups[group].accuracy.has_value(); });
    });
    if (any) plots.push_back(LinePlot(study, numeric).make(panel));
  }
  return plots;
}

// ---- rows
// ----------------------------------------------------------------------------------------

Plot row_plot(const Study& study, const std::vector<size_t>& groups, const Panel& panel) {
  RowPicture picture;
  Range x;
  bool any_published = false;
  for (const size_t item : panel.items) {
    const ReportGroup& group = study.groups[groups[item]];
    PictureRow row{row_label(study, groups[item], panel), group.method};
    row.value = with_interval(*group.accuracy, 3);
    row.interval = shown_interval(*group.accuracy);
    row.mark = group.accuracy->mean;
    row.published = published_accuracy(study, groups[item]);
    any_published = any_published || row.published.has_value();
    widen(x, study, groups[item]);
    picture.rows.push_back(std::move(row));
  }
  picture.low = x.low;
  picture.high = x.high;
  Plot plot{panel.title, "", {}, draw_rows(picture)};
  if (any_published)
    plot.legend = {{LegendEntry::Mark::kInterval, 0, "ours"},
                   {LegendEntry::Mark::kPublished, 0, "published"}};
  return plot;
}

}  // namespace

std::vector<Plot> accuracy_plots(const Study& study) {
  if (study.numeric) return line_plots(study, *study.numeric);
  std::vector<size_t> groups;
  for (size_t i = 0; i < study.groups.size(); ++i)
    if (study.groups[i].accuracy) groups.push_back(i);
  std::vector<Plot> plots;
  if (groups.empty()) return plots;
  for (const Panel& panel :
       make_panels(values_of_groups(study, groups), study.input.axes, kMostRows))
    plots.push_back(row_plot(study, groups, panel));
  return plots;
}

}  // namespace dbsa
