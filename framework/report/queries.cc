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

// One query of one run.
struct QueryRow {
  const Study& study;
  const ReportGroup& group;
  const ReportRun& run;
  const ReportFields& fields;  // of the run's record
  std::string at;              // of the query in it

  bool failed() const { return fields.find(at + "/error") != nullptr; }
};

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

// What is null is minus infinity.
ordered_json answer_probability(const QueryRow& row) {
  const json* score = row.fields.find(row.at + "/log_probability");
  if (row.failed() || score == nullptr) return nullptr;
  return score->is_number() ? std::exp(score->get<double>()) : 0.0;
}

ordered_json answer_or_null(const QueryRow& row, const char* name) {
  return row.failed() ? ordered_json(nullptr) : text_or_null(row.fields, row.at + name);
}

struct QueryColumn {
  const char* name;
  ordered_json (*value)(const QueryRow& row);
};
// Before the axes, and behind them.
constexpr QueryColumn kColumnsBeforeAxes[] = {
    {"study", [](const QueryRow& row) -> ordered_json { return row.study.input.title; }},
    {"group", [](const QueryRow& row) -> ordered_json { return row.group.name; }}};
constexpr QueryColumn kColumnsBehindAxes[] = {
    {"data_seed", [](const QueryRow& row) -> ordered_json { return row.run.data_seed; }},
    {"grouper_seed", [](const QueryRow& row) -> ordered_json { return row.run.grouper_seed; }},
    {"record", [](const QueryRow& row) -> ordered_json { return row.run.path; }},
    {"line",
     [](const QueryRow& row) -> ordered_json { return row.fields.integer(row.at + "/line"); }},
    {"text", [](const QueryRow& row) -> ordered_json { return row.fields.text(row.at + "/text"); }},
    {"expected",
     [](const QueryRow& row) { return text_or_null(row.fields, row.at + "/expected"); }},
    {"label", [](const QueryRow& row) { return answer_or_null(row, "/label"); }},
    {"abstained_label",
     [](const QueryRow& row) { return answer_or_null(row, "/abstained_label"); }},
    {"probability", answer_probability},
    {"correct", [](const QueryRow& row) { return bool_or_null(row.fields, row.at + "/correct"); }},
    {"error", [](const QueryRow& row) -> ordered_json {
       if (!row.failed()) return nullptr;
       return row.fields.text(row.at + "/error/message");
     }}};

std::string axis_column(const std::string& axis) { return "axis " + axis; }

// A row is an object, so that both forms have equal names.
ordered_json row_values(const QueryRow& row, const std::set<std::string>& axes) {
  ordered_json out;
  for (const QueryColumn& column : kColumnsBeforeAxes) out[column.name] = column.value(row);
  for (const std::string& axis : axes)
    out[axis_column(axis)] = row.group.values.contains(axis)
                                 ? ordered_json(row.group.values.at(axis))
                                 : ordered_json(nullptr);
  for (const QueryColumn& column : kColumnsBehindAxes) out[column.name] = column.value(row);
  return out;
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

std::string csv_head(const std::set<std::string>& axes) {
  CsvRow line;
  for (const QueryColumn& column : kColumnsBeforeAxes) line.text(column.name);
  for (const std::string& axis : axes) line.text(axis_column(axis));
  for (const QueryColumn& column : kColumnsBehindAxes) line.text(column.name);
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
  const std::set<std::string> axes = axis_names(report);
  const size_t count = fields.array("/queries").size();
  for (size_t i = 0; i < count && faults.size() == before; ++i) {
    const ordered_json row =
        row_values({study, group, run, fields, "/queries/" + std::to_string(i)}, axes);
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
