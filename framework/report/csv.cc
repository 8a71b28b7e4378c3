// A report as CSV (RFC 4180).
#include <set>

#include "report/csv_row.h"
#include "report/report.h"

namespace dbsa {
namespace {

// Names of all studies' scores: a column each, empty where a group has none.
std::set<std::string> group_scores(const Report& report) {
  std::set<std::string> names;
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups)
      for (const auto& [name, score] : group.scores) names.insert(name);
  return names;
}

std::string csv_head(const std::set<std::string>& axes, const std::set<std::string>& scores) {
  CsvRow row;
  for (const char* name : {"study", "group"}) row.text(name);
  for (const std::string& axis : axes) row.text("axis " + axis);
  for (const char* name :
       {"runs", "draws", "accuracy", "accuracy_deviation", "accuracy_95_low", "accuracy_95_high",
        "accuracy_95_covers", "macro_f1", "request_mean_s", "request_p50_s", "request_p95_s"})
    row.text(name);
  for (const char* stage : kAnswerSteps) row.text(std::string(stage) + "_mean_s");
  for (const char* name : {"setup_s", "setup_reused", "kv_bytes", "peak_memory_bytes",
                           "demonstrations", "blocks", "tokens", "selected_tokens", "baseline"})
    row.text(name);
  for (const char* name : {"accuracy_difference", "request_ratio", "setup_ratio"})
    for (const char* end : {"", "_95_low", "_95_high"}) row.text(std::string(name) + end);
  for (const char* name : {"calibration_error", "calibration_error_by_chance", "mcnemar_queries",
                           "mcnemar_better", "mcnemar_worse", "mcnemar_p", "mcnemar_p_holm"})
    row.text(name);
  for (const std::string& score : scores) row.text("score " + score);
  return row.line();
}

std::string csv_line(const Study& study, const ReportGroup& group,
                     const std::set<std::string>& axes, const std::set<std::string>& scores) {
  CsvRow row;
  row.text(study.input.title);
  row.text(group.name);
  row.values(axes, group.values);
  row.number(static_cast<double>(group.runs.size()));
  row.number(static_cast<double>(group.draws));
  row.mean(group.accuracy);
  row.number(group.accuracy ? group.accuracy->deviation : std::nullopt);
  row.interval(group.accuracy);
  row.text(group.accuracy && group.accuracy->interval ? covers_text(group.accuracy->covers, "draws")
                                                      : "");
  row.mean(group.macro_f1);
  for (const Summary* time : {&group.request_mean, &group.request_p50, &group.request_p95})
    row.number(time->mean);
  for (const double seconds : group.stages) row.number(seconds);
  row.number(group.setup.mean);
  row.text(group.setup_reused ? "yes" : "no");
  for (const double value : {group.kv_bytes, group.peak_memory_bytes, group.demonstrations,
                             group.blocks, group.tokens, group.selected_tokens})
    row.number(value);
  row.text(group.is_baseline ? "yes" : "no");
  for (const auto* value : {&group.accuracy_difference, &group.request_ratio, &group.setup_ratio})
    row.comparison(*value);
  row.mean(group.calibration_error);
  row.mean(group.calibration_error_by_chance);
  const std::optional<PairedTest> test =
      group.accuracy_difference ? group.accuracy_difference->test : std::nullopt;
  const auto count = [&](int64_t PairedTest::*field) {
    row.number(test ? std::optional(static_cast<double>((*test).*field)) : std::nullopt);
  };
  for (const auto field : {&PairedTest::queries, &PairedTest::better, &PairedTest::worse})
    count(field);
  for (const auto field : {&PairedTest::p, &PairedTest::p_holm})
    row.number(test ? std::optional((*test).*field) : std::nullopt);
  for (const std::string& name : scores) {
    const auto score = group.scores.find(name);
    row.mean(score == group.scores.end() ? std::nullopt : std::optional(score->second));
  }
  return row.line();
}

}  // namespace

std::string report_csv(const Report& report) {
  const std::set<std::string> axes = axis_names(report), scores = group_scores(report);
  std::string out = csv_head(axes, scores);
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups) out += csv_line(study, group, axes, scores);
  return out;
}

}  // namespace dbsa
