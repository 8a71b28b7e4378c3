// The queries of all runs of a report, a row for each query and run.
#include <cmath>
#include <set>

#include "config/read_file.h"
#include "pipeline/record/record.h"
#include "report/csv_row.h"
#include "report/fields.h"
#include "report/report.h"

namespace dbsa {
namespace {

using nlohmann::json;

std::string queries_head(const std::set<std::string>& axes) {
  CsvRow row;
  for (const char* name : {"study", "group"}) row.text(name);
  for (const std::string& axis : axes) row.text("axis " + axis);
  for (const char* name : {"data_seed", "grouper_seed", "record", "line", "text", "expected",
                           "label", "probability", "correct", "error"})
    row.text(name);
  return row.line();
}

// What all rows of a run begin with.
CsvRow begin_row(const Study& study, const ReportGroup& group, const ReportRun& run,
                 const std::set<std::string>& axes) {
  CsvRow row;
  row.text(study.input.title);
  row.text(group.name);
  row.values(axes, group.values);
  row.text(std::to_string(run.data_seed));
  row.text(std::to_string(run.grouper_seed));
  row.text(run.path);
  return row;
}

std::string text_or_none(const ReportFields& fields, const std::string& at) {
  const json* value = fields.find(at);
  return value == nullptr || value->is_null() ? "" : fields.text(at);
}

// null, of a query that expects nothing, and of one of an earlier record that was not answered.
std::string correct_text(const ReportFields& fields, const std::string& at) {
  const json* correct = fields.find(at);
  if (correct == nullptr || correct->is_null()) return "";
  if (!correct->is_boolean()) fields.wrong(at, "true, false or null");
  return *correct == true ? "yes" : "no";
}

void add_query(const ReportFields& fields, const std::string& at, CsvRow& row) {
  row.text(std::to_string(fields.integer(at + "/line")));
  row.text(fields.text(at + "/text"));
  row.text(text_or_none(fields, at + "/expected"));
  const bool failed = fields.find(at + "/error") != nullptr;
  row.text(failed ? "" : fields.text(at + "/label"));
  // What is null is minus infinity.
  const json* score = fields.find(at + "/log_probability");
  if (failed || score == nullptr)
    row.text("");
  else
    row.text(fixed(score->is_number() ? std::exp(score->get<double>()) : 0, 6));
  row.text(correct_text(fields, at + "/correct"));
  row.text(failed ? fields.text(at + "/error/message") : "");
}

}  // namespace

std::string query_rows(const Report& report, const Study& study, const ReportGroup& group,
                       const ReportRun& run, std::string_view record,
                       std::vector<std::string>& faults) {
  std::string out;
  const size_t before = faults.size();
  const std::optional<json> root =
      parse_report_json(run.path, record, "a result record of `dbsa-pipe run`", faults);
  if (!root) return out;
  const ReportFields fields(*root, run.path, "", faults);
  const CsvRow begin = begin_row(study, group, run, axis_names(report));
  const size_t count = fields.array("/queries").size();
  for (size_t i = 0; i < count && faults.size() == before; ++i) {
    CsvRow row = begin;
    add_query(fields, "/queries/" + std::to_string(i), row);
    out += row.line();
  }
  return out;
}

Result<std::string> queries_csv(const Report& report) {
  std::string out = queries_head(axis_names(report));
  std::vector<std::string> faults;
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups)
      for (const ReportRun& run : group.runs) {
        DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(run.path, kMaxRecordFileBytes));
        out += query_rows(report, study, group, run, file.text, faults);
        if (!faults.empty()) return Error{ErrorCode::kConfig, faults.front(), ""};
      }
  return out;
}

}  // namespace dbsa
