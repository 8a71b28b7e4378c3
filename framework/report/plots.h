// The plots of a study: gnuplot scripts with their data inside, and the legends that the page sets
// itself. Pure functions of a study; a plot that has nothing to show is left out.
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
  enum class Mark { kSeries, kStage, kPublished, kCrossing };
  Mark mark = Mark::kSeries;
  size_t index = 0;  // of the series or the stage
  std::string text;
};

struct Plot {
  std::string title;  // of the panel; empty where the study has one
  std::string script;
  std::vector<LegendEntry> legend;
  std::string svg;  // once drawn, ready for a page
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

// Fit for people with any colour vision, and legible on white.
std::string_view series_colour(size_t index);
std::string_view stage_colour(size_t stage);

}  // namespace dbsa
