// Reports: tables and plots of sweeps and result records, as a page, as Markdown, as CSV, as JSON.
//
//   read_report_input -> analyse_study -> draw_plots -> report_document -> report_html, ...
//
// Every figure comes from the records or from sweep.json.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "report/plots.h"
#include "report/study.h"

namespace dbsa {

inline constexpr int kReportSchemaVersion = 2;

struct StudyPlots {
  std::vector<Plot> accuracy, reliability, latency, cost, kv;
};

// By gnuplot; ids in the SVGs begin with `prefix`. kEnvironment, see run_gnuplot.
Result<StudyPlots> draw_plots(const Study& study, const std::string& prefix);

struct Report {
  std::string title;
  std::vector<Study> studies;
  std::vector<StudyPlots> plots;      // one for each study, or none
  std::vector<std::string> left_out;  // faults of files that are not in it
};

// ---- the document, before it is a page or Markdown
// -----------------------------------------------

struct ReportCell {
  std::string text;
  bool strong = false;
  std::optional<size_t> method = {};  // whose marker stands before it
};
struct ReportTable {
  struct Column {
    std::string title;
    bool number = false;
  };
  std::vector<Column> columns;
  std::vector<std::vector<ReportCell>> rows;
};
struct ReportFigure {
  Plot plot;
  std::string caption;
};
// A confusion matrix: rows are expected, columns given.
struct ReportMatrix {
  std::vector<std::string> rows, columns;
  size_t labels = 0;  // the first rows and columns, which are the same; behind them what is counted
                      // together, and queries without an answer
  std::vector<std::vector<int64_t>> counts;
  int64_t most_wrong = 0;  // largest count of one label for another
};
// A string is a paragraph.
using ReportPart = std::variant<std::string, ReportTable, ReportFigure, ReportMatrix>;
struct ReportSection {
  int level = 2;  // of its heading
  std::string title;
  std::vector<ReportPart> parts;
  bool folded = false;                // details that only the page has, behind their title
  std::optional<size_t> method = {};  // of a folded one
};
struct ReportDocument {
  std::string title;
  std::string lead;
  std::vector<ReportSection> sections;
};

ReportDocument report_document(const Report& report);

// The labels that are confused most often, each beside what it is confused with; the others counted
// together.
ReportMatrix shown_matrix(const ConfusionMatrix& confusion);

// One file without anything outside it: light or dark as the reader's system is, for windows from
// 360 pixels on, and for paper. Its script sorts tables; without it the page is whole.
std::string report_html(const ReportDocument& document);
std::string report_markdown(const ReportDocument& document);
// A row for each group.
std::string report_csv(const Report& report);
enum class QueriesFormat { kCsv, kJsonLines };
// A row for each query of each run, in the order of the groups: what was asked, expected and
// answered. Reads the records again, one at a time: kConfig or kEnvironment where one has changed
// or is gone. Cost: the bytes of the records.
Result<std::string> queries_text(const Report& report, QueriesFormat format);
// The rows of one run, whose record's text is at hand. Each fault is appended.
std::string query_rows(const Report& report, const Study& study, const ReportGroup& group,
                       const ReportRun& run, std::string_view record, QueriesFormat format,
                       std::vector<std::string>& faults);
// schemas/report.schema.json
nlohmann::ordered_json report_json(const Report& report);

}  // namespace dbsa
