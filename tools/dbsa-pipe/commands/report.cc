// dbsa-pipe report: tables and plots of sweeps and result records.
#include "report/report.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "commands.h"
#include "config/atomic_file.h"
#include "config/gzip.h"
#include "icl/data_file.h"
#include "json_output.h"
#include "options.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine report_command_line() {
  CommandLine line(
      {"report", "PATH...", "Make tables and plots of sweeps and result records.",
       "Each PATH is a folder of `dbsa-pipe sweep`, a folder of result records, or a "
       "record.\nWrites report.html, report.md and report.csv. Runs that differ in "
       "their draw of\ndemonstrations only are one group, shown with mean and 95 % "
       "interval; each\nis tested against the baseline of its sweep. The page shows "
       "which labels are taken for which.\nA record that is damaged or cannot be read "
       "is named and left out. The plots are drawn by\ngnuplot; without it, or where "
       "it fails, the report has the tables only.\n\n--queries writes a table as well, "
       "a row for each query of each run: its group and the\nvalues of the axes, "
       "seeds, record, line, text, expected label, label, probability, correct\n"
       "(yes, no, or empty) and error.",
       "dbsa-pipe report runs/\n"
       "dbsa-pipe report sweeps/masks sweeps/sizes --output report --title Masks\n"
       "dbsa-pipe report runs/accuracy --queries queries.csv"});
  line.argument_list("PATH");
  line.value("output", "DIR", "output folder (default: report/ in, or next to, the first PATH)");
  line.value("queries", "FILE", "write the queries of all runs here: .csv or .jsonl, and .gz");
  line.value("title", "TEXT", "the title of the report");
  line.flag("no-plots", "leave out the plots; gnuplot is not needed then");
  line.flag("json", "print the groups and their figures as one JSON document on standard output");
  line.flag("quiet,q", "only warnings and errors on standard error");
  return line;
}
namespace {

namespace fs = std::filesystem;

std::string output_folder(const CommandLine& line, const std::string& path) {
  if (line.has("output")) return line.text("output");
  std::error_code failed;
  const fs::path first(path);
  return ((fs::is_directory(first, failed) ? first : first.parent_path()) / "report").string();
}

std::string title_of(const CommandLine& line, const std::vector<Study>& studies) {
  if (line.has("title")) return line.text("title");
  return studies.size() == 1 && studies.front().input.is_sweep ? studies.front().input.title
                                                               : "Report of runs";
}

Result<Report> make_report(const CommandLine& line, const std::vector<std::string>& paths,
                           Terminal& terminal) {
  set_phase("reading records");
  terminal.set_progress("reading records ...");
  DBSA_ASSIGN_OR_RETURN(ReportInput input, read_report_input(paths));
  Report report;
  for (StudyInput& study : input.studies) report.studies.push_back(analyse_study(std::move(study)));
  report.left_out = std::move(input.left_out);
  report.title = title_of(line, report.studies);
  if (line.has("no-plots")) return report;
  set_phase("drawing plots");
  terminal.set_progress("drawing plots ...");
  for (size_t i = 0; i < report.studies.size(); ++i) {
    Result<StudyPlots> plots = draw_plots(report.studies[i], "s" + std::to_string(i));
    // The tables are worth having without them.
    if (!plots.ok()) {
      terminal.warning(plots.error().message +
                       "; the report has no plots (--no-plots leaves them out without a warning)");
      report.plots.clear();
      break;
    }
    report.plots.push_back(std::move(plots).value());
  }
  return report;
}

struct ReportFile {
  std::string path, bytes;
};

Status write_report(const Report& report, const std::string& folder, Terminal& terminal) {
  const ReportDocument document = report_document(report);
  const fs::path base(folder);
  const std::array<ReportFile, 3> files = {
      {{(base / "report.md").string(), report_markdown(document)},
       {(base / "report.csv").string(), report_csv(report)},
       {(base / "report.html").string(), report_html(document)}}};
  for (const ReportFile& file : files)
    DBSA_RETURN_IF_ERROR(write_file_atomically(file.path, file.bytes));
  terminal.note("report     " + shown_path(files.back().path));
  return {};
}

void print_summary(const Report& report, Terminal& terminal) {
  using enum Table::Align;
  for (const Study& study : report.studies) {
    Table table({{"group"},
                 {"runs", kRight},
                 {"accuracy", kRight},
                 {"request", kRight},
                 {"setup", kRight},
                 {"KV", kRight}});
    for (const ReportGroup& group : study.groups)
      table.add({group.name, human_count(static_cast<int64_t>(group.runs.size())),
                 group.accuracy ? human_ratio(group.accuracy->mean) : "none",
                 human_seconds(group.request_mean.mean),
                 human_seconds(group.setup.mean) + (group.setup_reused ? " *" : ""),
                 human_bytes(static_cast<uint64_t>(group.kv_bytes))});
    table.print(terminal);
    if (std::any_of(study.groups.begin(), study.groups.end(),
                    [](const ReportGroup& group) { return group.setup_reused; }))
      terminal.out("* part of the pool was found in the store");
    if (!study.input.lost.empty())
      terminal.out(counted(static_cast<int64_t>(study.input.lost.size()), "cell") +
                   " failed or missing");
    terminal.out("");
  }
}

Status write_queries(const Report& report, const std::string& path, Terminal& terminal) {
  set_phase("writing the queries");
  const QueriesFormat format =
      data_extension(path) == ".jsonl" ? QueriesFormat::kJsonLines : QueriesFormat::kCsv;
  DBSA_ASSIGN_OR_RETURN(std::string text, queries_text(report, format));
  DBSA_ASSIGN_OR_RETURN(text, packed_as_named(path, std::move(text)));
  DBSA_RETURN_IF_ERROR(write_file_atomically(path, text));
  terminal.note("queries    " + shown_path(path));
  return {};
}

Status make(const CommandLine& line, Terminal& terminal) {
  const std::vector<std::string> paths = line.texts("PATH");
  const std::string queries = line.text("queries");
  const std::string extension = data_extension(queries);
  if (line.has("queries") && extension != ".csv" && extension != ".jsonl")
    return Error{ErrorCode::kConfig,
                 "--queries " + queries +
                     ": expected a name that ends in .csv or .jsonl, or in these and .gz, found "
                     "another; rename it",
                 ""};
  DBSA_ASSIGN_OR_RETURN(const Report report, make_report(line, paths, terminal));
  terminal.set_progress("");
  for (const std::string& fault : report.left_out) terminal.warning(fault + "; left out");
  for (const Study& study : report.studies)
    for (const std::string& note : study.notes) terminal.note(note);
  set_phase("writing the report");
  if (!line.has("json")) print_summary(report, terminal);
  DBSA_RETURN_IF_ERROR(write_report(report, output_folder(line, paths.front()), terminal));
  if (!queries.empty()) DBSA_RETURN_IF_ERROR(write_queries(report, queries, terminal));
  if (line.has("json")) print_document("report", report_json(report), terminal);
  return {};
}

}  // namespace

int report_command(Words words, Terminal& terminal) {
  CommandLine line = report_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  terminal.set_quiet(line.has("quiet"));
  const Status made = make(line, terminal);
  return made.ok() ? 0 : fail(terminal, made.error());
}

}  // namespace dbsa::cli
