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
using nlohmann::ordered_json;

// What all rows of a run begin with. A row is an object, so that both forms have equal names.
ordered_json begin_row(const Study& study, const ReportGroup& group, const ReportRun& run,
                       const std::set<std::string>& axes) {
  ordered_json row = {{"study", study.input.title}, {"group", group.name}};
  for (const std::string& axis : axes)
    row["axis " + axis] =
        group.values.contains(axis) ? ordered_json(group.values.at(axis)) : ordered_json(nullptr);
  row["data_seed"] = run.data_seed;
  row["grouper_seed"] = run.grouper_seed;
  row["record"] = run.path;
  return row;
}

ordered_json text_or_null(const ReportFields& fields, const std::string& at) {
  const json* value = fields.find(at);
  return value == nullptr || value->is_null() ? ordered_json(nullptr)
                                              : ordered_json(fields.text(at));
}

// null, of a query that expects nothing, and of one of an earlier record that was not answered.
ordered_json bool_or_null(const ReportFields& fields, const std::string& at) {
  const json* value = fields.find(at);
  if (value == nullptr || value->is_null()) return nullptr;
  if (!value->is_boolean()) fields.wrong(at, "true, false or null");
  return *value == true;
}

void add_query(const ReportFields& fields, const std::string& at, ordered_json& row) {
  row["line"] = fields.integer(at + "/line");
  row["text"] = fields.text(at + "/text");
  row["expected"] = text_or_null(fields, at + "/expected");
  const bool failed = fields.find(at + "/error") != nullptr;
  row["label"] = failed ? ordered_json(nullptr) : text_or_null(fields, at + "/label");
  row["abstained_label"] =
      failed ? ordered_json(nullptr) : text_or_null(fields, at + "/abstained_label");
  // What is null is minus infinity.
  const json* score = fields.find(at + "/log_probability");
  row["probability"] =
      failed || score == nullptr
          ? ordered_json(nullptr)
          : ordered_json(score->is_number() ? std::exp(score->get<double>()) : 0.0);
  row["correct"] = bool_or_null(fields, at + "/correct");
  row["error"] = failed ? ordered_json(fields.text(at + "/error/message")) : ordered_json(nullptr);
}

std::string csv_line(const ordered_json& row) {
  CsvRow line;
  for (const ordered_json& value : row) {
    if (value.is_string())
      line.text(value.get_ref<const std::string&>());
    else if (value.is_boolean())
      line.text(value == true ? "yes" : "no");
    else if (value.is_number_float())
      line.text(fixed(value.get<double>(), 6));
    else
      line.text(value.is_null() ? "" : value.dump());
  }
  return line.line();
}

std::string json_line(const ordered_json& row) {
  return row.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// The names of the columns, as a row has them.
std::string csv_head(const std::set<std::string>& axes) {
  CsvRow line;
  for (const char* name : {"study", "group"}) line.text(name);
  for (const std::string& axis : axes) line.text("axis " + axis);
  for (const char* name : {"data_seed", "grouper_seed", "record", "line", "text", "expected",
                           "label", "abstained_label", "probability", "correct", "error"})
    line.text(name);
  return line.line();
}

}  // namespace

std::string query_rows(const Report& report, const Study& study, const ReportGroup& group,
                       const ReportRun& run, std::string_view record, QueriesFormat format,
                       std::vector<std::string>& faults) {
  std::string out;
  const size_t before = faults.size();
  const std::optional<json> root =
      parse_report_json(run.path, record, "a result record of `dbsa-pipe run`", faults);
  if (!root) return out;
  const ReportFields fields(*root, run.path, "", faults);
  const ordered_json begin = begin_row(study, group, run, axis_names(report));
  const size_t count = fields.array("/queries").size();
  for (size_t i = 0; i < count && faults.size() == before; ++i) {
    ordered_json row = begin;
    add_query(fields, "/queries/" + std::to_string(i), row);
    out += format == QueriesFormat::kCsv ? csv_line(row) : json_line(row);
  }
  return out;
}

Result<std::string> queries_text(const Report& report, QueriesFormat format) {
  std::string out = format == QueriesFormat::kCsv ? csv_head(axis_names(report)) : "";
  std::vector<std::string> faults;
  for (const Study& study : report.studies)
    for (const ReportGroup& group : study.groups)
      for (const ReportRun& run : group.runs) {
        DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(run.path, kMaxRecordFileBytes));
        out += query_rows(report, study, group, run, file.text, format, faults);
        if (!faults.empty()) return Error{ErrorCode::kConfig, faults.front(), ""};
      }
  return out;
}

}  // namespace dbsa
