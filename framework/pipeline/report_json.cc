// A report for programs: JSON and CSV.
#include <set>

#include "pipeline/report.h"
#include "pipeline/report_text.h"

namespace dbsa {
namespace {

using json = nlohmann::ordered_json;

json summary_to_json(const std::optional<Summary>& summary) {
  if (!summary) return nullptr;
  json out = {{"count", summary->count}, {"mean", summary->mean}};
  out["deviation"] = summary->deviation ? json(*summary->deviation) : json(nullptr);
  out["interval_95"] = summary->interval
                           ? json::array({summary->interval->low, summary->interval->high})
                           : json(nullptr);
  return out;
}

json ratio_to_json(const std::optional<ReportRatio>& ratio) {
  if (!ratio) return nullptr;
  json out = summary_to_json(ratio->value);
  out["paired"] = ratio->paired;
  return out;
}

json values_to_json(const AxisValues& values) {
  json out = json::object();
  for (const auto& [axis, value] : values) out[axis] = value;
  return out;
}

json group_to_json(const ReportGroup& group) {
  json scores = json::object(), stages = json::object(), records = json::array();
  for (const auto& [name, score] : group.scores) scores[name] = summary_to_json(score);
  for (size_t stage = 0; stage < kStages.size(); ++stage)
    stages[kStages[stage]] = group.stages[stage];
  for (const ReportRun& run : group.runs) records.push_back(run.path);
  return {{"name", group.name},
          {"values", values_to_json(group.values)},
          {"runs", group.runs.size()},
          {"accuracy", summary_to_json(group.accuracy)},
          {"macro_f1", summary_to_json(group.macro_f1)},
          {"scores", std::move(scores)},
          {"request_seconds",
           {{"mean", summary_to_json(group.request_mean)},
            {"p50", summary_to_json(group.request_p50)},
            {"p95", summary_to_json(group.request_p95)}}},
          {"stage_seconds", std::move(stages)},
          {"setup_seconds", summary_to_json(group.setup)},
          {"setup_reused", group.setup_reused},
          {"kv_bytes", group.kv_bytes},
          {"peak_memory_bytes", group.peak_memory_bytes},
          {"demonstrations", group.demonstrations},
          {"blocks", group.blocks},
          {"tokens", group.tokens},
          {"selected_tokens", group.selected_tokens},
          {"baseline", group.is_baseline},
          {"ratios",
           {{"accuracy", ratio_to_json(group.accuracy_ratio)},
            {"request", ratio_to_json(group.request_ratio)},
            {"setup", ratio_to_json(group.setup_ratio)}}},
          {"records", std::move(records)}};
}

json study_to_json(const Study& study) {
  json axes = json::array(), groups = json::array(), points = json::array(),
       published = json::array(), lost = json::array();
  for (const SweepAxis& axis : study.input.axes)
    axes.push_back({{"name", axis.name}, {"values", axis.values}});
  for (const ReportGroup& group : study.groups) groups.push_back(group_to_json(group));
  for (const BreakEven& point : study.break_even)
    points.push_back({{"requests", point.at.requests},
                      {"seconds", point.at.seconds},
                      {"quicker", study.groups[point.patient].name},
                      {"than", study.groups[point.hasty].name}});
  for (const PublishedRow& row : study.published)
    published.push_back({{"group", study.groups[row.group].name},
                         {"metric", row.figure.metric},
                         {"published", row.figure.value},
                         {"ours", summary_to_json(row.ours)},
                         {"source", row.figure.source}});
  for (const LostCell& cell : study.input.lost)
    lost.push_back({{"name", cell.name},
                    {"run", cell.run},
                    {"exit_code", cell.exit_code ? json(*cell.exit_code) : json(nullptr)},
                    {"message", cell.exit_code ? json(cell.message) : json(nullptr)}});
  return {
      {"title", study.input.title},
      {"path", study.input.path},
      {"sweep", study.input.is_sweep},
      {"axes", std::move(axes)},
      {"baseline", study.input.baseline ? values_to_json(*study.input.baseline) : json(nullptr)},
      {"cells", study.input.cells},
      {"runs", study.run_count},
      {"groups", std::move(groups)},
      {"break_even", std::move(points)},
      {"published", std::move(published)},
      {"lost", std::move(lost)}};
}

// ---- CSV
// -----------------------------------------------------------------------------------------

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

json report_json(const Report& report) {
  json studies = json::array();
  for (const Study& study : report.studies) studies.push_back(study_to_json(study));
  return {{"schema_version", kReportSchemaVersion},
          {"title", report.title},
          {"studies", std::move(studies)}};
}

std::string report_csv(const Report& report) {
  const std::set<std::string> axes = names_of(report, true), scores = names_of(report, false);
  std::string out = csv_head(axes, scores);
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups) out += csv_line(study, group, axes, scores);
  return out;
}

}  // namespace dbsa
