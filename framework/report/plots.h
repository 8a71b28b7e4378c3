// The plots of a study: gnuplot scripts with their data inside and the legends that the page sets
// itself, or rows that the page draws. A method has one style in all of them. Pure functions of a
// study; a plot that has nothing to show is left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/study.h"

namespace dbsa {

// What one plot shows at most and stays readable.
inline constexpr size_t kMostSeries = 8;
inline constexpr size_t kMostRows = 24;

struct LegendEntry {
  enum class Mark { kSeries, kInterval, kStage, kPublished, kCrossing };
  Mark mark = Mark::kSeries;
  size_t index = 0;  // style of the series, or the stage
  std::string text;
};

struct Plot {
  std::string title;   // of the panel; empty where the study has one
  std::string script;  // of gnuplot; empty where the page draws it
  std::vector<LegendEntry> legend;
  std::string drawn;  // ready for a page
};

// Accuracy with intervals: lines along the numeric axis, else a row for each group.
std::vector<Plot> accuracy_plots(const Study& study);
// Accuracy against probability, in bins, with the line on which they are equal.
std::vector<Plot> reliability_plots(const Study& study);
// Mean seconds per request, by stage.
std::vector<Plot> latency_plots(const Study& study);
// setup + n x request, against n, with the crossings.
std::vector<Plot> cost_plots(const Study& study);
// Bytes of keys and values against tokens of the pool.
std::vector<Plot> kv_plots(const Study& study);

// CSS colours, variables of colour_variables: fit for people with any colour vision, and legible on
// the page's light and dark ground. Methods share colours from the eleventh on, but no colour and
// marker before the 41st.
std::string series_colour(size_t style);
std::string stage_colour(size_t stage);
// Declarations for a style sheet.
std::string colour_variables(bool dark);
// What stands in gnuplot's SVG for them; the SVG with the variables.
std::string with_colour_variables(std::string svg);

}  // namespace dbsa
