// Studies: what read_report_input found, put into groups of runs and analysed.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "icl/paired_test.h"
#include "icl/reliability.h"
#include "report/input.h"
#include "report/statistics.h"

namespace dbsa {

// A figure held against the baseline's, over pairs of runs with equal seeds, of accuracies over
// pairs of draws; where no seeds agree, of the means and without an interval.
struct Comparison {
  Summary value;
  bool paired = true;
  std::optional<PairedTest> test = {};  // of paired accuracies
};

// Runs of one identity.group, which differ in their draws only, and of equal axis values.
struct ReportGroup {
  std::string name;
  AxisValues values;
  std::vector<ReportRun> runs;

  // Over the draws: runs of one draw count as one. Times are over all runs.
  int64_t draws = 0;
  std::optional<Summary> accuracy, macro_f1;
  std::map<std::string, Summary> scores;
  // Of the records' answers: expected calibration errors, and what only chance makes of them.
  std::optional<Summary> calibration_error, calibration_error_by_chance;
  // Of the answers of a run of each draw, all together.
  std::optional<Reliability> reliability;
  std::vector<CoveragePoint> risk_coverage;
  ConfusionMatrix confusion;  // of these, too; empty without labels
  Summary request_mean, request_p50, request_p95;
  std::array<double, kAnswerSteps.size()> stages = {};
  Summary setup;              // of runs that found nothing in the store, where there are some
  bool setup_reused = false;  // no such run
  double kv_bytes = 0, peak_memory_bytes = 0;
  double demonstrations = 0, blocks = 0, tokens = 0, selected_tokens = 0;

  std::optional<Validity> validity;  // the most of any run
  bool is_baseline = false;
  size_t method = 0;  // one for all groups that go by one name in their bundles: their colour
  // From the baseline's accuracy; to its request time; the setup to one request of the baseline.
  std::optional<Comparison> accuracy_difference, request_ratio, setup_ratio;
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
  size_t methods = 0;                 // in all
  std::optional<NumericAxis> numeric;
  std::vector<BreakEven> break_even;  // within bundles, by ascending requests
  std::vector<PublishedRow> published;
  std::vector<std::string> notes;  // sentences that a reader of the figures must know
};

Study analyse_study(StudyInput input);

// What analyse_study is made of.
// Runs of equal axis values and equal identity, in the order of the axes.
std::vector<ReportGroup> group_runs(std::vector<ReportRun> runs,
                                    const std::vector<SweepAxis>& axes);
// Gives loose records axes and values: the configuration's keys that differ between them, except
// those outside of groups.
void find_axes(StudyInput& input);
// The configuration's keys, dotted, that tell groups apart, with their values.
AxisValues keys_of_groups(const ReportRun& run);
// Where groups of equal values differ in identity: adds what they differ in to axes and values, and
// a note on each.
void name_differences(std::vector<ReportGroup>& groups, StudyInput& input,
                      std::vector<std::string>& notes);
// What else a reader must know: records without identity, libraries, validity. Fills in validity.
void add_notes(std::vector<ReportGroup>& groups, std::vector<std::string>& notes);
void fill_statistics(ReportGroup& group);
// Comparisons with the group that has the baseline's values and else the same.
void compare_with_baseline(const StudyInput& input, std::vector<ReportGroup>& groups);

// All runs of one identity.draw: a repetition says nothing of what other draws would give.
struct Draw {
  std::vector<const ReportRun*> runs;
  double value = 0;  // the mean over its runs
};
// In the order of their first runs; of those that have a value.
template <typename Value>
std::vector<Draw> draws_of(const std::vector<ReportRun>& runs, Value value) {
  std::vector<Draw> draws;
  std::map<std::string, size_t> known;  // index into draws
  for (const ReportRun& run : runs) {
    if (!value(run)) continue;
    const auto [it, is_new] = known.emplace(run.identity.draw, draws.size());
    if (is_new) draws.emplace_back();
    draws[it->second].runs.push_back(&run);
  }
  for (Draw& draw : draws) {
    for (const ReportRun* run : draw.runs) draw.value += *value(*run);
    draw.value /= static_cast<double>(draw.runs.size());
  }
  return draws;
}
// What answers to the queries of one text give: a text that several queries have says no more about
// other texts than one that is asked once.
struct TextValue {
  uint64_t text = 0;
  double value = 0;
};
using QueryValues = std::map<uint64_t, TextValue>;  // by ReportAnswer::query
// Shares of the draw's runs that answered correctly. Only queries with a label.
QueryValues correct_answers(const Draw& draw);
// Seconds. Only queries that were answered.
QueryValues answer_seconds(const ReportRun& run);
// A cell for each text, its mean, which weighs as much as the text has queries.
std::vector<LayoutCell> cells_of(const QueryValues& values, size_t row);
// How far each cell is from the mean of all, relative to that mean; nothing for a mean of 0.
std::vector<LayoutCell> relative_deviations(std::vector<LayoutCell> cells);

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
