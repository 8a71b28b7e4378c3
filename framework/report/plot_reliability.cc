// How far probabilities can be believed: accuracy against them.
#include "report/plot_script.h"
#include "report/text.h"

namespace dbsa {
namespace {

Plot reliability_plot(const Study& study, const std::vector<size_t>& groups, const Panel& panel) {
  Plot plot{panel.title, plot_head(430), {}, ""};
  plot.script +=
      "set xrange [0:1.02]\nset yrange [0:1.02]\nset xlabel 'mean probability of the answers'\n"
      "set ylabel 'accuracy'\n";
  std::string commands = "x with lines dt 2 lw 1.5 lc rgb '#767676'";
  for (size_t place = 0; place < panel.items.size(); ++place) {
    const size_t index = groups[panel.items[place]];
    std::vector<std::vector<double>> rows;
    for (const ReliabilityBin& bin : study.groups[index].reliability->bins)
      rows.push_back({bin.confidence, bin.accuracy});
    const std::string block = "s" + std::to_string(place);
    const size_t style = study.groups[index].method;
    plot.script += data_block(block, rows);
    commands += ", $" + block + " using 1:2 with linespoints lw 1.5 ps 1 " + point_style(style);
    plot.legend.push_back({LegendEntry::Mark::kSeries, style, row_label(study, index, panel)});
  }
  plot.script += "plot " + commands + "\n";
  return plot;
}

}  // namespace

std::vector<Plot> reliability_plots(const Study& study) {
  std::vector<size_t> groups;
  for (size_t i = 0; i < study.groups.size(); ++i)
    if (study.groups[i].reliability) groups.push_back(i);
  std::vector<Plot> plots;
  if (groups.empty()) return plots;
  for (const Panel& panel : make_panels_apart(values_of_groups(study, groups), study.input.axes,
                                              study.bundle_axes, kMostSeries))
    plots.push_back(reliability_plot(study, groups, panel));
  return plots;
}

}  // namespace dbsa
