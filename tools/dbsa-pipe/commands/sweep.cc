// dbsa-pipe sweep: runs a grid of pipelines.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "commands.h"
#include "commands/sweep_run.h"
#include "config/absolute_path.h"
#include "config/exit_code.h"
#include "config/file_calls.h"
#include "json_output.h"
#include "options.h"
#include "session.h"
#include "terminal/cancel.h"
#include "terminal/child.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine sweep_command_line() {
  CommandLine line(
      {"sweep", "SWEEP", "Run every cell of a sweep file and keep their records.",
       "A sweep file names a base pipeline and axes over its keys; each cell is a "
       "pipeline of its\nown, run as a process of its own. Cells that have a record "
       "are not run again: a sweep that\nwas stopped continues where it was, and one "
       "that was extended runs what is new. All cells\nare checked before the "
       "first computes anything. A cell that fails is written down and stops no\nother.",
       "dbsa-pipe sweep pipelines/paper/ablations.toml --jobs 2\n"
       "dbsa-pipe sweep sweep.toml --list\n"
       "dbsa-pipe sweep sweep.toml --cell 3/8\n"
       "dbsa-pipe sweep sweep.toml --launcher slurm --shards 8\n"
       "dbsa-pipe report runs/sweep"});
  line.arguments({"SWEEP"}, 1);
  line.integer("jobs", "N", "cells that run at once (default 1)");
  line.list("only", "AXIS=VALUE", "leave out the other values of that axis; may be repeated");
  line.list("set", "KEY=VALUE", "set a key of every cell, last; may be repeated");
  line.flag("force-set", "let --set change keys that an axis sets");
  line.integer("runs", "N", "runs of each cell, in place of the file's");
  line.value("cell", "I/N", "run the I-th of N shards alone, from 1");
  line.value("launcher", "NAME", "slurm: submit the shards as a job array with sbatch");
  line.choices("launcher", {"slurm"});
  line.integer("shards", "N", "with --launcher: how many shards (default: one for each cell)");
  line.list("launcher-option", "WORD", "with --launcher: another option for sbatch");
  line.flag("fresh", "run cells that have a record, too");
  line.flag("list", "list the cells and whether they have a record; run none");
  line.integer("threads", "N", "threads of each cell (default: all, shared among the jobs)");
  add_plugin_options(line);
  add_output_options(line);
  return line;
}
namespace {

struct Shard {
  int64_t index = 1;
  int64_t count = 1;
};

Result<Shard> parse_shard(const std::string& text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, shard.index);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, shard.count) : first;
  if (!slash || second.ec != std::errc() || second.ptr != end || shard.count < 1 ||
      shard.index < 1 || shard.index > shard.count)
    return Error{ErrorCode::kConfig,
                 "--cell " + text + ": expected I/N with 1 <= I <= N, as in --cell 3/8", ""};
  return shard;
}

// Every N-th cell, so that shards are of about the same work.
std::vector<const SweepCell*> cells_of(const Sweep& sweep, const Shard& shard) {
  std::vector<const SweepCell*> cells;
  for (const SweepCell& cell : sweep.cells)
    if (cell.index % shard.count == shard.index - 1) cells.push_back(&cell);
  return cells;
}

void list_cells(const Sweep& sweep, const std::vector<const SweepCell*>& cells, bool json,
                Terminal& terminal) {
  if (json) {
    nlohmann::ordered_json out = sweep.to_json();
    const nlohmann::ordered_json all = std::move(out["cells"]);
    out["cells"] = nlohmann::ordered_json::array();
    for (const SweepCell* cell : cells) {
      nlohmann::ordered_json listed = all[static_cast<size_t>(cell->index)];
      listed["done"] = cell_state(sweep, *cell) == CellState::kDone;
      out["cells"].push_back(std::move(listed));
    }
    print_document("sweep_list", std::move(out), terminal);
    return;
  }
  Table table({{"cell", Table::Align::kRight}, {"record"}, {"values"}});
  for (const SweepCell* cell : cells)
    table.add({std::to_string(cell->index + 1),
               cell_state(sweep, *cell) == CellState::kDone ? "done" : "-", cell->name()});
  table.print(terminal);
}

// Options that each cell's process gets. Without --threads the jobs share the machine.
std::vector<std::string> child_options(const CommandLine& line, int64_t jobs, int threads) {
  const int64_t share = std::max<int64_t>(1, threads / jobs);
  std::vector<std::string> words = {"--threads",
                                    std::to_string(line.number("threads").value_or(share))};
  for (const std::string& folder : line.texts("plugin-path")) {
    words.emplace_back("--plugin-path");
    words.push_back(absolute_path(folder));
  }
  return words;
}

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What each task of the job array runs.
std::string slurm_script(const Sweep& sweep, const CommandLine& line, int64_t shards) {
  std::string script = "#!/bin/sh\n";
  // Relative paths of --set count from this folder.
  if (line.has("set")) script += "cd " + quoted(std::filesystem::current_path().string()) + " && ";
  script += "exec " + quoted(program_path()) + " sweep " + quoted(sweep.path) +
            " --quiet --cell \"$SLURM_ARRAY_TASK_ID\"/" + std::to_string(shards);
  for (const char* option : {"runs", "threads", "jobs"})
    if (const auto number = line.number(option))
      script += std::string(" --") + option + " " + std::to_string(*number);
  for (const char* option : {"fresh", "force-set"})
    if (line.has(option)) script += std::string(" --") + option;
  for (const char* option : {"only", "set"})
    for (const std::string& word : line.texts(option))
      script += std::string(" --") + option + " " + quoted(word);
  for (const std::string& folder : line.texts("plugin-path"))
    script += " --plugin-path " + quoted(absolute_path(folder));
  return script + "\n";
}

// Escapes % so that sbatch does not expand file name patterns.
std::string without_patterns(const std::string& path) {
  std::string out;
  for (const char c : path) out += c == '%' ? std::string("%%") : std::string(1, c);
  return out;
}

// Without the line ends around it.
std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Hands the shards to Slurm: one job array, whose tasks are `sweep --cell I/N`.
Status submit(const Sweep& sweep, const CommandLine& line, Terminal& terminal) {
  const auto cells = static_cast<int64_t>(sweep.cells.size());
  const int64_t shards = line.number("shards").value_or(cells);
  if (shards < 1 || shards > cells)
    return Error{ErrorCode::kConfig,
                 "--shards: must be between 1 and " + std::to_string(cells) + ", the cells, got " +
                     std::to_string(shards),
                 ""};
  DBSA_RETURN_IF_ERROR(write_sweep_files(sweep));
  const std::string logs = sweep.directory + "/logs";
  DBSA_RETURN_IF_ERROR(make_folders(logs));
  std::vector<std::string> words = {"sbatch", "--parsable", "--job-name=dbsa-sweep",
                                    "--array=1-" + std::to_string(shards),
                                    "--output=" + without_patterns(logs) + "/slurm-%A-%a.txt"};
  for (const std::string& option : line.texts("launcher-option")) words.push_back(option);
  DBSA_ASSIGN_OR_RETURN(const Captured captured,
                        run_program(words, slurm_script(sweep, line, shards)));
  const std::string said = trimmed(captured.error);
  if (captured.exit_code != 0)
    return Error{ErrorCode::kEnvironment,
                 "sbatch ended with exit code " + std::to_string(captured.exit_code) +
                     (said.empty() ? "" : ": " + said),
                 ""};
  if (!said.empty()) terminal.warning(said);
  const std::string job = trimmed(captured.out);
  if (line.has("json"))
    print_document("sweep_job", {{"job", job}, {"shards", shards}}, terminal);
  else
    terminal.out("submitted  job " + job + " with " + counted(shards, "task") + "; records go to " +
                 shown_path(sweep.directory));
  return {};
}

// Options that go together, and that do not.
Status check_options(const CommandLine& line) {
  const auto wrong = [](const std::string& what) { return Error{ErrorCode::kConfig, what, ""}; };
  if (line.has("launcher") && line.text("launcher") != "slurm")
    return wrong("--launcher " + line.text("launcher") + ": expected slurm");
  if (line.has("launcher") && line.has("cell"))
    return wrong("--cell: cannot be combined with --launcher, whose tasks set --cell themselves");
  for (const char* option : {"shards", "launcher-option"})
    if (line.has(option) && !line.has("launcher"))
      return wrong("--" + std::string(option) + ": needs --launcher slurm");
  if (const int64_t jobs = line.number("jobs").value_or(1); jobs < 1 || jobs > 1024)
    return wrong("--jobs: must be between 1 and 1024, got " + std::to_string(jobs));
  return {};
}

void print_outcome(const Sweep& sweep, const SweepOutcome& outcome, const CommandLine& line,
                   Terminal& terminal) {
  if (line.has("json")) {
    nlohmann::ordered_json failures = nlohmann::ordered_json::array();
    for (const SweepOutcome::Failure& failure : outcome.failures)
      failures.push_back(
          {{"cell", failure.cell}, {"exit_code", failure.exit_code}, {"message", failure.message}});
    nlohmann::ordered_json warnings = nlohmann::ordered_json::array();
    for (const SweepWarnings::Warning& warning : outcome.warnings.all())
      warnings.push_back(
          {{"text", warning.text}, {"cells", warning.cells}, {"first_cell", warning.cell}});
    print_document("sweep_outcome",
                   {{"directory", sweep.directory},
                    {"cells", outcome.cells},
                    {"before", outcome.before},
                    {"done", outcome.done},
                    {"stopped", outcome.stopped},
                    {"with_errors", outcome.warnings.with_errors()},
                    {"warnings", std::move(warnings)},
                    {"failures", std::move(failures)}},
                   terminal);
    return;
  }
  terminal.out("cells      " + human_count(outcome.cells) + ": " + human_count(outcome.done) +
               " run, " + human_count(outcome.before) + " had a record, " +
               human_count(static_cast<int64_t>(outcome.failures.size())) + " failed" +
               (outcome.stopped > 0 ? ", " + human_count(outcome.stopped) + " stopped" : ""));
  terminal.out("records    " + shown_path(sweep.directory));
}

// Rows that cannot differ should not look like a finding.
void warn_of_twins(const Sweep& sweep, Terminal& terminal) {
  const auto twins = sweep.twins();
  if (twins.empty()) return;
  const auto& [cell, earlier] = twins.front();
  terminal.warning(
      "\"" + cell->name() + "\" and \"" + earlier->name() +
      "\" are the same pipeline and share one record" +
      (twins.size() == 1
           ? ""
           : ", and so are " + counted(static_cast<int64_t>(twins.size()) - 1, "other pair")));
}

void warn_of_records(const SweepWarnings& warnings, Terminal& terminal) {
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < warnings.all().size() && i < kShown; ++i) {
    const SweepWarnings::Warning& warning = warnings.all()[i];
    terminal.warning("\"" + warning.cell + "\"" +
                     (warning.cells > 1 ? " and " + counted(warning.cells - 1, "other cell") : "") +
                     ": " + warning.text);
  }
  if (warnings.all().size() > kShown)
    terminal.warning(
        counted(static_cast<int64_t>(warnings.all().size() - kShown), "other warning") +
        " of cells; the records have them");
  if (const int64_t cells = warnings.with_errors(); cells > 0)
    terminal.warning(counted(cells, "cell") + (cells == 1 ? " has" : " have") +
                     " queries without an answer, which count as wrong; the records say why");
}

Status sweep_cells(const CommandLine& line, Terminal& terminal) {
  DBSA_RETURN_IF_ERROR(check_options(line));
  Shard shard;
  if (line.has("cell")) {
    DBSA_ASSIGN_OR_RETURN(shard, parse_shard(line.text("cell")));
  }
  DBSA_ASSIGN_OR_RETURN(host::HostOptions options, host_options(line, terminal));
  host::HostServices services(std::move(options));
  DBSA_ASSIGN_OR_RETURN(const host::PluginRegistry registry, discover_plugins(line));
  warn_of_refused_plugins(line, registry, terminal);
  DBSA_ASSIGN_OR_RETURN(const Sweep sweep, load_sweep(line.text("SWEEP"),
                                                      {line.texts("only"), line.texts("set"),
                                                       line.number("runs"), line.has("force-set")},
                                                      registry));
  warn_of_twins(sweep, terminal);
  const std::vector<const SweepCell*> cells = cells_of(sweep, shard);
  if (line.has("list")) {
    list_cells(sweep, cells, line.has("json"), terminal);
    return {};
  }
  if (line.has("launcher")) return submit(sweep, line, terminal);
  const int64_t jobs = line.number("jobs").value_or(1);
  set_phase("running cells");
  const CancelOnSignal cancel(services);
  const int threads = services.thread_count();
  DBSA_ASSIGN_OR_RETURN(
      const SweepOutcome outcome,
      run_cells(sweep, cells, {jobs, child_options(line, jobs, threads), line.has("fresh")},
                services, terminal));
  print_outcome(sweep, outcome, line, terminal);
  warn_of_records(outcome.warnings, terminal);
  if (outcome.failures.empty() && outcome.stopped > 0)
    return Error{ErrorCode::kCancelled,
                 counted(outcome.stopped, "cell") +
                     " stopped by a signal; run the same command again for the others",
                 ""};
  if (outcome.failures.empty()) return {};
  return Error{ErrorCode::kRun, describe(outcome.failures), ""};
}

}  // namespace

int sweep_command(Words words, Terminal& terminal) {
  CommandLine line = sweep_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  terminal.set_quiet(line.has("quiet"));
  set_phase("laying out the sweep");
  const Status status = sweep_cells(line, terminal);
  return status.ok() ? 0 : fail(terminal, status.error());
}

}  // namespace dbsa::cli
