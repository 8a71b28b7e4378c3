// What a report says, section by section.
#include <algorithm>
#include <cmath>
#include <set>

#include "report/report.h"
#include "report/sections.h"
#include "report/summary.h"
#include "report/text.h"

namespace dbsa {
namespace {

constexpr double kMiB = 1 << 20;

void add_figures(ReportSection& section, const std::vector<Plot>* plots,
                 const std::string& caption) {
  if (plots == nullptr) return;
  for (const Plot& plot : *plots) section.parts.emplace_back(ReportFigure{plot, caption});
}

// What the labels of rows are made of.
std::string row_caption(const Study& study) {
  std::string names;
  for (const SweepAxis& axis : study.input.axes)
    if (axis.values.size() > 1) names += (names.empty() ? "" : " · ") + axis.name;
  return names.empty() ? "" : " Rows: " + names + ".";
}

std::string mean_text(const std::optional<Summary>& summary, int digits) {
  return summary ? fixed(summary->mean, digits) : kNoFigure;
}

// ---- accuracy
// ------------------------------------------------------------------------------------

std::set<std::string> score_names(const Study& study) {
  std::set<std::string> names;
  for (const ReportGroup& group : study.groups)
    for (const auto& [name, score] : group.scores) names.insert(name);
  return names;
}

// The best mean accuracy of each bundle.
std::set<size_t> best_groups(const Study& study) {
  std::set<size_t> best;
  for (const std::vector<size_t>& bundle : study.bundles) {
    double most = -1;
    for (const size_t i : bundle)
      if (study.groups[i].accuracy) most = std::max(most, study.groups[i].accuracy->mean);
    for (const size_t i : bundle)
      if (bundle.size() > 1 && study.groups[i].accuracy && study.groups[i].accuracy->mean == most)
        best.insert(i);
  }
  return best;
}

ReportSection accuracy_section(const Study& study, const StudyPlots* plots) {
  ReportSection section{3, "Accuracy", {}};
  add_figures(section, plots ? &plots->accuracy : nullptr,
              "Mean accuracy over draws, with its 95 % interval." +
                  (study.numeric ? "" : row_caption(study)));
  const std::set<std::string> scores = score_names(study);
  const std::set<size_t> best = best_groups(study);
  GroupTable table(study);
  for (const char* title : {"runs", "draws", "accuracy", "95 %", "s.d.", "macro-F1"})
    table.column(title);
  for (const std::string& name : scores) table.column(name);
  bool few_draws = false;
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ReportGroup& group = study.groups[i];
    few_draws = few_draws || queries_only(group.accuracy);
    std::vector<ReportCell> row = {
        {grouped(static_cast<double>(group.runs.size()))},
        {grouped(static_cast<double>(group.draws))},
        {mean_text(group.accuracy, 3), best.contains(i)},
        {interval_text(group.accuracy, 3)},
        {group.accuracy && group.accuracy->deviation ? fixed(*group.accuracy->deviation, 3)
                                                     : kNoFigure},
        {mean_text(group.macro_f1, 3)}};
    for (const std::string& name : scores) {
      const auto score = group.scores.find(name);
      row.push_back({score == group.scores.end() ? kNoFigure : significant(score->second.mean, 3)});
    }
    table.add(i, std::move(row));
  }
  section.parts.emplace_back(table.take());
  explain_queries_only(few_draws, section);
  return section;
}

// ---- probabilities
// ----------------------------------------------------------------------------------

std::optional<ReportSection> reliability_section(const Study& study, const StudyPlots* plots) {
  ReportSection section{3, "Probabilities", {}};
  add_figures(section, plots ? &plots->reliability : nullptr,
              "Accuracy against the mean probability of the answers, in ten bins of equal mass; on "
              "the dashed line probabilities are right.");
  GroupTable errors(study), risks(study);
  for (const char* title : {"answers", "calibration error", "by chance"}) errors.column(title);
  for (int percent = 100; percent > 0; percent -= 10) risks.column(std::to_string(percent) + " %");
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ReportGroup& group = study.groups[i];
    if (!group.reliability) continue;
    errors.add(i, {{grouped(static_cast<double>(group.reliability->answers))},
                   {mean_text(group.calibration_error, 3)},
                   {mean_text(group.calibration_error_by_chance, 3)}});
    std::vector<ReportCell> row;
    for (const CoveragePoint& point : group.risk_coverage)
      row.push_back({fixed(1 - point.accuracy, 3)});
    risks.add(i, std::move(row));
  }
  if (errors.empty()) return {};
  section.parts.emplace_back(errors.take());
  section.parts.emplace_back(
      "Share of wrong answers where only the likeliest are given, by the share that is given:");
  section.parts.emplace_back(risks.take());
  return section;
}

// ---- time of a request
// ---------------------------------------------------------------------------

ReportSection latency_section(const Study& study, const StudyPlots* plots) {
  ReportSection section{3, "Time of a request", {}};
  add_figures(
      section, plots ? &plots->latency : nullptr,
      "Mean time of a request, by stage; at the end of each bar their sum." + row_caption(study));
  GroupTable table(study);
  for (const char* title : {"p50", "p95", "mean"}) table.column(std::string(title) + " (ms)");
  std::vector<size_t> stages;
  for (size_t stage = 0; stage < kAnswerSteps.size(); ++stage)
    if (std::any_of(study.groups.begin(), study.groups.end(),
                    [&](const ReportGroup& group) { return group.stages[stage] > 0; })) {
      stages.push_back(stage);
      table.column(std::string(kAnswerSteps[stage]) + " (ms)");
    }
  const auto ms = [](double seconds) { return ReportCell{significant(seconds * 1e3, 3)}; };
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ReportGroup& group = study.groups[i];
    std::vector<ReportCell> row = {ms(group.request_p50.mean), ms(group.request_p95.mean),
                                   ms(group.request_mean.mean)};
    for (const size_t stage : stages) row.push_back(ms(group.stages[stage]));
    table.add(i, std::move(row));
  }
  section.parts.emplace_back(table.take());
  return section;
}

// ---- setup and memory
// ----------------------------------------------------------------------------

ReportSection memory_section(const Study& study, const StudyPlots* plots) {
  ReportSection section{3, "Setup and memory", {}};
  add_figures(section, plots ? &plots->kv : nullptr,
              "Keys and values of the whole pool against its tokens.");
  GroupTable table(study);
  for (const char* title : {"demonstrations", "blocks", "pool tokens", "selected tokens",
                            "setup (s)", "KV (MiB)", "peak memory (MiB)"})
    table.column(title);
  bool reused = false;
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ReportGroup& group = study.groups[i];
    reused = reused || group.setup_reused;
    table.add(i, {{grouped(group.demonstrations)},
                  {grouped(group.blocks)},
                  {grouped(group.tokens)},
                  {grouped(group.selected_tokens)},
                  {significant(group.setup.mean, 3) + (group.setup_reused ? " *" : "")},
                  {significant(group.kv_bytes / kMiB, 3)},
                  {significant(group.peak_memory_bytes / kMiB, 3)}});
  }
  section.parts.emplace_back(table.take());
  if (reused)
    section.parts.emplace_back(
        "* Every run of this group found blocks in the store, so this is not the whole setup; "
        "ratios, total times and break-even points of the group are too low or too early.");
  return section;
}

// ---- total time
// ----------------------------------------------------------------------------------

ReportSection cost_section(const Study& study, const StudyPlots* plots) {
  ReportSection section{3, "Total time and break-even", {}};
  add_figures(section, plots ? &plots->cost : nullptr,
              "Setup and n requests: what is paid once pays off from a break-even point on.");
  if (study.groups.size() < 2) return section;
  ReportTable table;
  table.columns = {{"less setup"}, {"overtaken by"}, {"from requests", true}, {"after (s)", true}};
  const bool bundled = study.bundles.size() > 1;
  if (bundled) table.columns.insert(table.columns.begin(), {"with"});
  for (const BreakEven& point : study.break_even) {
    table.rows.push_back({{name_in_bundle(study, point.hasty)},
                          {name_in_bundle(study, point.patient)},
                          {grouped(std::ceil(point.at.requests))},
                          {significant(point.at.seconds, 3)}});
    if (bundled)
      table.rows.back().insert(table.rows.back().begin(), {bundle_name(study, point.hasty)});
  }
  if (table.rows.empty())
    section.parts.emplace_back(
        "No break-even: wherever one group has the quicker setup, its requests are not slower.");
  else
    section.parts.emplace_back(std::move(table));
  return section;
}

// ---- the study, the whole
// ------------------------------------------------------------------------

void add_study(const Study& study, const StudyPlots* plots, ReportDocument& document) {
  const bool repeats = study.input.title == document.title;
  document.sections.push_back({2, repeats ? "Summary" : study.input.title, {study_summary(study)}});
  for (const std::string& note : study.notes) document.sections.back().parts.emplace_back(note);
  document.sections.push_back(accuracy_section(study, plots));
  if (auto section = reliability_section(study, plots))
    document.sections.push_back(std::move(*section));
  for (ReportSection& section : label_sections(study))
    document.sections.push_back(std::move(section));
  document.sections.push_back(latency_section(study, plots));
  document.sections.push_back(memory_section(study, plots));
  document.sections.push_back(cost_section(study, plots));
  for (auto section : {baseline_section(study), published_section(study), lost_section(study)})
    if (section) document.sections.push_back(std::move(*section));
}

}  // namespace

ReportDocument report_document(const Report& report) {
  ReportDocument document{report.title, lead_text(report), {}};
  for (size_t i = 0; i < report.studies.size(); ++i)
    add_study(report.studies[i], i < report.plots.size() ? &report.plots[i] : nullptr, document);
  if (!report.left_out.empty()) document.sections.push_back(left_out_section(report));
  document.sections.push_back(method_section());
  return document;
}

}  // namespace dbsa
