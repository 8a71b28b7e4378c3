#include "report/report.h"

#include "report/gnuplot.h"

namespace dbsa {
namespace {

Status draw(std::vector<Plot>& plots, const std::string& prefix, const std::string& label) {
  for (size_t i = 0; i < plots.size(); ++i) {
    if (plots[i].script.empty()) continue;
    DBSA_ASSIGN_OR_RETURN(const std::string svg, run_gnuplot(plots[i].script));
    plots[i].drawn = inline_svg(with_colour_variables(svg), prefix + std::to_string(i) + "-",
                                label + (plots[i].title.empty() ? "" : ", " + plots[i].title));
  }
  return {};
}

}  // namespace

Result<StudyPlots> draw_plots(const Study& study, const std::string& prefix) {
  StudyPlots plots{accuracy_plots(study), reliability_plots(study), latency_plots(study),
                   cost_plots(study), kv_plots(study)};
  DBSA_RETURN_IF_ERROR(draw(plots.accuracy, prefix + "a", "Accuracy"));
  DBSA_RETURN_IF_ERROR(draw(plots.reliability, prefix + "r", "Accuracy against probability"));
  DBSA_RETURN_IF_ERROR(draw(plots.latency, prefix + "l", "Time of a request by stage"));
  DBSA_RETURN_IF_ERROR(draw(plots.cost, prefix + "c", "Total time against requests"));
  DBSA_RETURN_IF_ERROR(draw(plots.kv, prefix + "k", "Keys and values against tokens"));
  return plots;
}

}  // namespace dbsa
