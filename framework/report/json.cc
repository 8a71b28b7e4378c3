// A report for programs.
#include "report/report.h"
#include "report/text.h"

namespace dbsa {
namespace {

using nlohmann::ordered_json;

// What the rows of a summary are.
constexpr const char* kDraws = "draws";
constexpr const char* kRuns = "runs";

ordered_json summary_to_json(const std::optional<Summary>& summary, const std::string& rows) {
  if (!summary) return nullptr;
  ordered_json out = {{"count", summary->count}, {"mean", summary->mean}};
  out["deviation"] = summary->deviation ? ordered_json(*summary->deviation) : ordered_json(nullptr);
  out["interval_95"] = summary->interval
                           ? ordered_json::array({summary->interval->low, summary->interval->high})
                           : ordered_json(nullptr);
  out["covers"] =
      summary->interval ? ordered_json(covers_text(summary->covers, rows)) : ordered_json(nullptr);
  return out;
}

ordered_json comparison_to_json(const std::optional<Comparison>& comparison,
                                const std::string& rows) {
  if (!comparison) return nullptr;
  ordered_json out = summary_to_json(comparison->value, rows);
  out["paired"] = comparison->paired;
  return out;
}

ordered_json difference_to_json(const std::optional<Comparison>& difference) {
  ordered_json out = comparison_to_json(difference, kDraws);
  if (!difference) return out;
  out["test"] = nullptr;
  if (const auto& test = difference->test)
    out["test"] = {{"method", "exact McNemar"},
                   {"queries", test->queries},
                   {"better", test->better},
                   {"worse", test->worse},
                   {"p", test->p},
                   {"p_holm", test->p_holm},
                   {"comparisons", test->comparisons}};
  return out;
}

ordered_json identity_to_json(const ReportRun& run) {
  ordered_json inputs = ordered_json::object(), stages = ordered_json::object();
  for (const auto& [name, hash] : run.identity.inputs) inputs[name] = hash;
  for (const PluginUse& plugin : run.identity.plugins)
    stages[plugin.stage] = {{"plugin", plugin.id}, {"revision", plugin.revision}};
  return {{"group", run.identity.group},
          {"recorded", run.identity.recorded},
          {"inputs", std::move(inputs)},
          {"stages", std::move(stages)}};
}

ordered_json validity_to_json(const std::optional<Validity>& validity) {
  if (!validity) return nullptr;
  return {{"queries_in_demonstrations", validity->queries_in_demonstrations},
          {"texts_with_two_labels", validity->texts_with_two_labels},
          {"duplicates", validity->duplicates},
          {"near_equal_labels", validity->near_equal_labels},
          {"duplicate_queries", validity->duplicate_queries},
          {"queries_with_two_labels", validity->queries_with_two_labels},
          {"near_expected_labels", validity->near_expected_labels},
          {"labels_covered", validity->labels_covered},
          {"labels", validity->labels}};
}

ordered_json values_to_json(const AxisValues& values) {
  ordered_json out = ordered_json::object();
  for (const auto& [axis, value] : values) out[axis] = value;
  return out;
}

ordered_json reliability_to_json(const ReportGroup& group) {
  if (!group.reliability) return nullptr;
  ordered_json bins = ordered_json::array(), points = ordered_json::array();
  for (const ReliabilityBin& bin : group.reliability->bins)
    bins.push_back(
        {{"answers", bin.answers}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  for (const CoveragePoint& point : group.risk_coverage)
    points.push_back({{"coverage", point.coverage},
                      {"least_probability", point.least_probability},
                      {"risk", 1 - point.accuracy}});
  return {{"answers", group.reliability->answers},
          {"error", summary_to_json(group.calibration_error, kDraws)},
          {"error_by_chance", summary_to_json(group.calibration_error_by_chance, kDraws)},
          {"bins", std::move(bins)},
          {"risk_coverage", std::move(points)}};
}

ordered_json labels_to_json(const ConfusionMatrix& confusion) {
  if (confusion.empty()) return nullptr;
  return {{"answers", confusion.answers()},
          {"scores", to_json(confusion.labels())},
          {"confusions", to_json(confusion.confusions())}};
}

ordered_json group_to_json(const ReportGroup& group) {
  ordered_json scores = ordered_json::object(), stages = ordered_json::object(),
               records = ordered_json::array();
  for (const auto& [name, score] : group.scores) scores[name] = summary_to_json(score, kDraws);
  for (size_t stage = 0; stage < kAnswerSteps.size(); ++stage)
    stages[kAnswerSteps[stage]] = group.stages[stage];
  for (const ReportRun& run : group.runs) records.push_back(run.path);
  return {{"name", group.name},
          {"values", values_to_json(group.values)},
          {"runs", group.runs.size()},
          {"draws", group.draws},
          {"identity", identity_to_json(group.runs.front())},
          {"validity", validity_to_json(group.validity)},
          {"accuracy", summary_to_json(group.accuracy, kDraws)},
          {"macro_f1", summary_to_json(group.macro_f1, kDraws)},
          {"scores", std::move(scores)},
          {"reliability", reliability_to_json(group)},
          {"labels", labels_to_json(group.confusion)},
          {"request_seconds",
           {{"mean", summary_to_json(group.request_mean, kRuns)},
            {"p50", summary_to_json(group.request_p50, kRuns)},
            {"p95", summary_to_json(group.request_p95, kRuns)}}},
          {"stage_seconds", std::move(stages)},
          {"setup_seconds", summary_to_json(group.setup, kRuns)},
          {"setup_reused", group.setup_reused},
          {"kv_bytes", group.kv_bytes},
          {"peak_memory_bytes", group.peak_memory_bytes},
          {"demonstrations", group.demonstrations},
          {"blocks", group.blocks},
          {"tokens", group.tokens},
          {"selected_tokens", group.selected_tokens},
          {"baseline", group.is_baseline},
          {"accuracy_difference", difference_to_json(group.accuracy_difference)},
          {"ratios",
           {{"request", comparison_to_json(group.request_ratio, kRuns)},
            {"setup", comparison_to_json(group.setup_ratio, kRuns)}}},
          {"records", std::move(records)}};
}

ordered_json study_to_json(const Study& study) {
  ordered_json axes = ordered_json::array(), groups = ordered_json::array(),
               points = ordered_json::array(), published = ordered_json::array(),
               lost = ordered_json::array();
  for (const SweepAxis& axis : study.input.axes)
    axes.push_back({{"name", axis.name}, {"values", axis.values}, {"identity", axis.is_identity}});
  for (const ReportGroup& group : study.groups) groups.push_back(group_to_json(group));
  for (const BreakEven& point : study.break_even)
    points.push_back({{"requests", point.at.requests},
                      {"seconds", point.at.seconds},
                      {"quicker", study.groups[point.patient].name},
                      {"than", study.groups[point.hasty].name}});
  for (const PublishedRow& row : study.published)
    published.push_back(
        {{"group", study.groups[row.group].name},
         {"metric", row.figure.metric},
         {"published", row.figure.value},
         {"ours", summary_to_json(row.ours, row.figure.metric == "accuracy" ? kDraws : kRuns)},
         {"source", row.figure.source}});
  for (const LostCell& cell : study.input.lost)
    lost.push_back(
        {{"name", cell.name},
         {"run", cell.run},
         {"exit_code", cell.exit_code ? ordered_json(*cell.exit_code) : ordered_json(nullptr)},
         {"message", cell.message.empty() ? ordered_json(nullptr) : ordered_json(cell.message)}});
  return {{"title", study.input.title},
          {"path", study.input.path},
          {"sweep", study.input.is_sweep},
          {"axes", std::move(axes)},
          {"baseline",
           study.input.baseline ? values_to_json(*study.input.baseline) : ordered_json(nullptr)},
          {"cells", study.input.cells},
          {"runs", study.run_count},
          {"groups", std::move(groups)},
          {"break_even", std::move(points)},
          {"published", std::move(published)},
          {"lost", std::move(lost)},
          {"notes", study.notes}};
}

}  // namespace

ordered_json report_json(const Report& report) {
  ordered_json studies = ordered_json::array();
  for (const Study& study : report.studies) studies.push_back(study_to_json(study));
  return {{"schema", "report"},
          {"schema_version", kReportSchemaVersion},
          {"title", report.title},
          {"left_out", report.left_out},
          {"studies", std::move(studies)}};
}

}  // namespace dbsa
