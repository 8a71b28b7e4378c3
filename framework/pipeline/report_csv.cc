// A report as CSV (RFC 4180).
#include <set>

#include "pipeline/report.h"
#include "pipeline/report_text.h"

namespace dbsa {
namespace {

// Names of all studies: a column each, empty where a group has none.
std::set<std::string> names_of(const Report& report, bool axes) {
  std::set<std::string> names;
  for (const Study& study : report.studies) {
    if (axes)
      for (const SweepAxis& axis : study.input.axes) names.insert(axis.name);
    else
      for (const ReportGroup& group : study.groups)
        for (const auto& [name, score] : group.scores) names.insert(name);
  }
  return names;
}

class CsvRow {
 public:
  void text(const std::string& value) {
    line_ += (first_ ? "" : ",") + csv_field(value);
    first_ = false;
  }
  void number(double value) { text(exact(value)); }
  void summary(const std::optional<Summary>& value) {
    text(value ? exact(value->mean) : "");
    text(value && value->deviation ? exact(*value->deviation) : "");
    text(value && value->interval ? exact(value->interval->low) : "");
    text(value && value->interval ? exact(value->interval->high) : "");
  }
  void ratio(const std::optional<ReportRatio>& value) {
    text(value ? exact(value->value.mean) : "");
  }
  std::string line() const { return line_ + "\r\n"; }

 private:
  std::string line_;
  bool first_ = true;
};

std::string csv_head(const std::set<std::string>& axes, const std::set<std::string>& scores) {
  CsvRow row;
  for (const char* name : {"study", "group"}) row.text(name);
  for (const std::string& axis : axes) row.text("axis " + axis);
  for (const char* name :
       {"runs", "accuracy", "accuracy_deviation", "accuracy_95_low", "accuracy_95_high", "macro_f1",
        "request_mean_s", "request_p50_s", "request_p95_s"})
    row.text(name);
  for (const char* stage : kStages) row.text(std::string(stage) + "_mean_s");
  for (const char* name :
       {"setup_s", "setup_reused", "kv_bytes", "peak_memory_bytes", "demonstrations", "blocks",
        "tokens", "selected_tokens", "baseline", "accuracy_ratio", "request_ratio", "setup_ratio"})
    row.text(name);
  for (const std::string& score : scores) row.text("score " + score);
  return row.line();
}

std::string csv_line(const Study& study, const ReportGroup& group,
                     const std::set<std::string>& axes, const std::set<std::string>& scores) {
  CsvRow row;
  row.text(study.input.title);
  row.text(group.name);
  for (const std::string& axis : axes)
    row.text(group.values.contains(axis) ? group.values.at(axis) : "");
  row.number(static_cast<double>(group.runs.size()));
  row.summary(group.accuracy);
  row.text(group.macro_f1 ? exact(group.macro_f1->mean) : "");
  for (const Summary* time : {&group.request_mean, &group.request_p50, &group.request_p95})
    row.number(time->mean);
  for (const double seconds : group.stages) row.number(seconds);
  row.number(group.setup.mean);
  row.text(group.setup_reused ? "yes" : "no");
  for (const double value : {group.kv_bytes, group.peak_memory_bytes, group.demonstrations,
                             group.blocks, group.tokens, group.selected_tokens})
    row.number(value);
  row.text(group.is_baseline ? "yes" : "no");
  for (const auto* ratio : {&group.accuracy_ratio, &group.request_ratio, &group.setup_ratio})
    row.ratio(*ratio);
  for (const std::string& name : scores) {
    const auto score = group.scores.find(name);
    row.text(score == group.scores.end() ? "" : exact(score->second.mean));
  }
  return row.line();
}

}  // namespace

std::string report_csv(const Report& report) {
  const std::set<std::string> axes = names_of(report, true), scores = names_of(report, false);
  std::string out = csv_head(axes, scores);
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups) out += csv_line(study, group, axes, scores);
  return out;
}

}  // namespace dbsa
