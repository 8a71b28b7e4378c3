// Studies: what read_report_input found, put into groups of runs and analysed.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/report_input.h"
#include "pipeline/report_statistics.h"

namespace dbsa {

// A ratio to the baseline, over pairs of runs with equal seeds, that of accuracies over pairs of
// draws; where no seeds agree, of the means.
struct ReportRatio {
  Summary value;
  bool paired = true;
};

// Runs that differ in their seeds only.
struct ReportGroup {
  std::string name;
  AxisValues values;
  std::vector<ReportRun> runs;

  // Over the draws: runs of one pipeline, seeds included, count as one. Times are over all runs.
  std::optional<Summary> accuracy, macro_f1;
  std::map<std::string, Summary> scores;
  Summary request_mean, request_p50, request_p95;
  std::array<double, kStages.size()> stages = {};
  Summary setup;              // of runs that found nothing in the store, where there are some
  bool setup_reused = false;  // no such run
  double kv_bytes = 0, peak_memory_bytes = 0;
  double demonstrations = 0, blocks = 0, tokens = 0, selected_tokens = 0;

  bool is_baseline = false;
  // To the baseline's accuracy and request time; the setup to one request of the baseline.
  std::optional<ReportRatio> accuracy_ratio, request_ratio, setup_ratio;
};

// Two groups, by index.
struct BreakEven {
  size_t hasty = 0, patient = 0;
  Crossing at;
};

struct PublishedRow {
  size_t group = 0;
  PublishedFigure figure;
  std::optional<Summary> ours;
};

// A quantity that grows along one axis while the others stay.
struct NumericAxis {
  std::string axis;
  std::string label;      // with its unit
  std::vector<double> x;  // of each group
  // Indices of groups with the same values of the other axes, by ascending x.
  std::vector<std::vector<size_t>> series;
};

struct Study {
  StudyInput input;  // without its runs; loose records get axes from what differs between them
  int64_t run_count = 0;
  std::vector<ReportGroup> groups;
  // Groups to hold against each other: equal in all axes that the baseline does not name; without a
  // baseline, equal in the numeric axis if there are others.
  std::vector<std::vector<size_t>> bundles;
  std::set<std::string> bundle_axes;  // in which the groups of a bundle agree
  std::optional<NumericAxis> numeric;
  std::vector<BreakEven> break_even;  // within bundles, by ascending requests
  std::vector<PublishedRow> published;
};

Study analyse_study(StudyInput input);

// What analyse_study is made of.
// Runs of equal axis values, in the order of the axes.
std::vector<ReportGroup> group_runs(std::vector<ReportRun> runs,
                                    const std::vector<SweepAxis>& axes);
// Gives loose records axes and values: the configuration's keys that differ between them, but for
// seeds, output.directory and kv_store.path.
void find_axes(StudyInput& input);
void fill_statistics(ReportGroup& group);
std::optional<NumericAxis> find_numeric_axis(const std::vector<ReportGroup>& groups,
                                             const std::vector<SweepAxis>& axes);
// "dbsa · trec", of axes that have more than one value; loose records' with their keys. `skip`:
// axes to leave out.
std::string name_of_values(const AxisValues& values, const StudyInput& input,
                           const std::set<std::string>& skip = {});

// The two halves of a group's name: what its bundle has in common ("size: 100"; "" for a single
// bundle), and what sets it apart there, without the values of `skip`.
std::string bundle_name(const Study& study, size_t group);
std::string name_in_bundle(const Study& study, size_t group, const std::string& skip = "");

// The number that a value of an axis is, if it is one a plot can show.
std::optional<double> as_number(const std::string& text);

// Values as people order them: numbers by size, before words.
bool value_less(const std::string& a, const std::string& b);

}  // namespace dbsa
