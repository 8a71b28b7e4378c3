// The bytes of a sweep.json or a record, up to the page without plots.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "report/report.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbsa;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> faults;
  const auto sweep = parse_sweep("sweep.json", text, faults);
  if (sweep.has_value() != faults.empty()) std::abort();
  faults.clear();
  auto run = parse_record("record.json", text, faults);
  if (run.has_value() != faults.empty()) std::abort();
  if (!run) return 0;
  StudyInput input;
  input.title = "Fuzz";
  ReportRun other = *run;
  other.config["selection"] = 1;
  input.runs = {*std::move(run), std::move(other)};
  Report report{"Fuzz", {}, {}, {}};
  report.studies.push_back(analyse_study(std::move(input)));
  const ReportDocument document = report_document(report);
  if (report_html(document).empty() || report_markdown(document).empty() ||
      report_csv(report).empty() || report_json(report).empty())
    std::abort();
  // What a report reads may still have answers that are none.
  const ReportGroup& group = report.studies[0].groups.at(0);
  const std::string rows = query_rows(report, report.studies[0], group, group.runs.at(0), text,
                                      QueriesFormat::kJsonLines, faults);
  if (faults.empty() && rows.empty() && !group.runs.at(0).answers.empty()) std::abort();
  for (const auto& plots : {accuracy_plots(report.studies[0]), latency_plots(report.studies[0]),
                            cost_plots(report.studies[0]), kv_plots(report.studies[0])})
    for (const Plot& plot : plots)
      if (plot.script.empty() == plot.drawn.empty()) std::abort();
  return 0;
}
