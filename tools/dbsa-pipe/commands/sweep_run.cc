#include "commands/sweep_run.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "commands/sweep_check.h"
#include "commands/sweep_parts.h"
#include "config/atomic_file.h"
#include "config/exit_code.h"
#include "config/json_pointer.h"
#include "config/json_text.h"
#include "config/read_file.h"
#include "config/toml_document.h"
#include "config/toml_writer.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/child.h"
#include "terminal/children.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

// Where the answers of cells that were stopped are.
constexpr const char* kJournals = "journals";

// null where it is no JSON.
Result<nlohmann::ordered_json> read_record(const std::string& path) {
  nlohmann::ordered_json record;
  DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(path, kMaxRecordFileBytes));
  if (parse_json(file.text, record)) return nlohmann::ordered_json(nullptr);
  return record;
}

// Whether a record is of a cell: its answers are those of the cell's pipeline on the inputs as they
// are now, and its times were taken with the cell's settings.
template <typename Json>
bool is_record_of(const Json& record, const SweepCell& cell) {
  if (cell.identity.run.empty() || !record.is_object() || !record.contains("totals") ||
      !record.contains("config") || !record.contains("identity") ||
      !record.at("identity").is_object() ||
      record.at("identity").value("run", "") != cell.identity.run)
    return false;
  for (const auto& [key, value] : cell.speed_keys.items()) {
    const typename Json::json_pointer at(pointer_of_key(key));
    if (!record.at("config").contains(at) || record.at("config").at(at) != Json(value))
      return false;
  }
  return true;
}

// Whether a process of this sweep has written it for the cell. Where the sweep could not read the
// inputs, the process could.
template <typename Json>
bool is_new_record_of(const Json& record, const SweepCell& cell) {
  if (!cell.identity.run.empty()) return is_record_of(record, cell);
  if (!record.is_object() || !record.contains("totals") || !record.contains("config")) return false;
  nlohmann::json made_with = record.at("config"), wanted = cell.config;
  if (!made_with.is_object()) return false;
  made_with.erase("output");
  wanted.erase("output");
  return made_with == wanted;
}

Status write_failure(const Sweep& sweep, const SweepCell& cell,
                     const SweepOutcome::Failure& failure) {
  const nlohmann::ordered_json text = {{"index", cell.index},
                                       {"name", failure.cell},
                                       {"exit_code", failure.exit_code},
                                       {"message", failure.message}};
  return write_file_atomically(
      sweep.directory + "/" + cell_failure_path(cell),
      text.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

// The processes of a sweep. Each has its own folder in parts/, for its record and what it
// says, no matter which other sweeps run the same cell.
class CellRunner {
 public:
  CellRunner(const Sweep& sweep, const SweepOptions& options) : sweep_(sweep), options_(options) {}

  size_t running() const { return children_.running(); }

  Status start(const SweepCell& cell) {
    DBSA_ASSIGN_OR_RETURN(PartFolder part, PartFolder::make(path("parts"), cell.id));
    DBSA_RETURN_IF_ERROR(make_folders(path(kJournals)));
    std::vector<std::string> words = {
        program_path(), "run",          path(cell_pipeline_path(cell)),
        "--quiet",      "--output",     part.path(),
        "--journal",    path(kJournals)};
    // So that cells do not depend on what the store had before.
    words.emplace_back("--regroup");
    if (options_.fresh) words.emplace_back("--fresh");
    words.insert(words.end(), options_.child_options.begin(), options_.child_options.end());
    DBSA_RETURN_IF_ERROR(children_.start(started_, words, part.path() + "/log.txt"));
    processes_[started_++] = {&cell, std::move(part)};
    return {};
  }

  // Takes in a process that has ended, if there is one; its cell, or nullptr. No failure
  // means that the cell has its record now.
  Result<const SweepCell*> reap(std::optional<SweepOutcome::Failure>& failure) {
    const std::optional<Children::Ended> ended = children_.reap();
    if (!ended) return nullptr;
    const auto process = processes_.extract(ended->task);
    DBSA_ASSIGN_OR_RETURN(failure, finish(process.mapped(), ended->exit_code));
    return process.mapped().cell;
  }

  void stop(int signal_number) {
    stopping_ = true;
    children_.stop(signal_number);
  }

 private:
  struct Process {
    const SweepCell* cell = nullptr;
    PartFolder part;
  };

  std::string path(const std::string& name) const { return sweep_.directory + "/" + name; }

  // Takes the record, or writes down why there is none.
  Result<std::optional<SweepOutcome::Failure>> finish(const Process& process, int code) {
    const SweepCell& cell = *process.cell;
    std::optional<SweepOutcome::Failure> failure;
    // Where queries have an error instead of an answer, the code tells it, and there is a record.
    const bool may_have_errors = code == exit_code(ErrorCode::kConfig);
    if (code == 0 || may_have_errors) {
      DBSA_ASSIGN_OR_RETURN(failure, take_record(process));
    }
    if (code != 0 && (failure || !may_have_errors))
      failure = {cell.name(), code, why_ended(code, process.part.path() + "/log.txt")};
    // Another sweep may have made the record meanwhile.
    if (failure && !options_.fresh && cell_state(sweep_, cell) == CellState::kDone) failure = {};
    if (!failure) {
      std::error_code failed;
      fs::remove(path(cell_failure_path(cell)), failed);
    } else if (!stopping_ && !is_cancelled(code)) {
      DBSA_RETURN_IF_ERROR(write_failure(sweep_, cell, *failure));
    }
    return failure;
  }

  // Writes the record to its place, where there is none.
  Result<std::optional<SweepOutcome::Failure>> take_record(const Process& process) const {
    const SweepCell& cell = *process.cell;
    std::error_code failed;
    nlohmann::ordered_json record;
    std::string why;
    for (fs::directory_iterator entry(process.part.path(), failed), end; !failed && entry != end;
         entry.increment(failed)) {
      if (entry->path().extension() != ".json") continue;
      Result<nlohmann::ordered_json> found = read_record(entry->path().string());
      if (found.ok())
        record = std::move(found).value();
      else
        why = ": " + found.error().message;
    }
    if (failed) why = ": " + process.part.path() + ": cannot be read: " + failed.message();
    if (!is_new_record_of(record, cell))
      return std::optional<SweepOutcome::Failure>({cell.name(), 0,
                                                   "the process exited with 0 but wrote no record "
                                                   "of its cell, or its inputs changed meanwhile" +
                                                       why});
    // So that a repeated run does not write where this one did.
    record["config"]["output"]["directory"] = sweep_.directory;
    if (!options_.fresh && cell_state(sweep_, cell) == CellState::kDone)
      return std::optional<SweepOutcome::Failure>();
    DBSA_RETURN_IF_ERROR(
        write_file_atomically(path(cell_record_path(cell)), record.dump(1) + "\n"));
    return std::optional<SweepOutcome::Failure>();
  }

  const Sweep& sweep_;
  const SweepOptions& options_;
  std::map<size_t, Process> processes_;  // that run, by their number
  size_t started_ = 0;
  Children children_;  // last: ends before the folders go
  bool stopping_ = false;
};

// Cells of one pipeline.
struct Task {
  const SweepCell* cell = nullptr;  // the first of them
  int64_t cells = 0;
};

// What has no record yet. Tidies up after what has.
std::vector<Task> open_tasks(const Sweep& sweep, const std::vector<const SweepCell*>& cells,
                             bool fresh, Terminal& terminal) {
  std::vector<Task> tasks;
  std::map<std::string, size_t> known;  // ids: places in `tasks`, or kDone
  constexpr size_t kDone = std::numeric_limits<size_t>::max();
  for (const SweepCell* cell : cells) {
    const auto [entry, is_new] = known.emplace(cell->id, tasks.size());
    if (is_new) {
      const CellState state = fresh ? CellState::kOpen : cell_state(sweep, *cell);
      if (state == CellState::kForeign)
        terminal.warning(shown_path(sweep.directory + "/" + cell_record_path(*cell)) +
                         ": is not a record of this cell; the cell is run again");
      if (state == CellState::kDone) {
        entry->second = kDone;
      } else {
        tasks.push_back({cell, 0});
      }
    }
    if (entry->second != kDone) ++tasks[entry->second].cells;
  }
  remove_stale_parts(sweep.directory + "/parts");
  return tasks;
}

// What the records of the cells warn of, those of earlier sweeps too: whoever asks for a sweep
// again is told again.
SweepWarnings warnings_of(const Sweep& sweep, const std::vector<const SweepCell*>& cells) {
  std::map<std::string, int64_t> cells_of;  // by id
  for (const SweepCell* cell : cells) ++cells_of[cell->id];
  SweepWarnings warnings;
  for (const SweepCell* cell : cells) {
    const auto count = cells_of.extract(cell->id);
    nlohmann::json record;
    if (!count.empty() && cell_state(sweep, *cell, &record) == CellState::kDone)
      warnings.add(*cell, count.mapped(), record);
  }
  return warnings;
}

// Takes out what `validate` finds cannot run, and says so while nothing has been computed yet.
Status drop_faulty(const Sweep& sweep, const SweepOptions& options,
                   const host::HostServices& services, Terminal& terminal, std::vector<Task>& tasks,
                   SweepOutcome& outcome) {
  std::vector<const SweepCell*> cells;
  for (const Task& task : tasks) cells.push_back(task.cell);
  DBSA_ASSIGN_OR_RETURN(const auto faults, check_cells(sweep, cells, options, services, terminal));
  std::vector<Task> sound;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (!faults[i]) {
      sound.push_back(tasks[i]);
      continue;
    }
    const SweepCell& cell = *tasks[i].cell;
    const SweepOutcome::Failure failure = {cell.name(), faults[i]->exit_code, faults[i]->message};
    outcome.failures.insert(outcome.failures.end(), tasks[i].cells, failure);
    DBSA_RETURN_IF_ERROR(write_failure(sweep, cell, failure));
  }
  tasks = std::move(sound);
  if (!outcome.failures.empty() && !tasks.empty())
    terminal.warning(counted(static_cast<int64_t>(outcome.failures.size()), "cell") +
                     " cannot run, the others do:\n" + describe(outcome.failures));
  return {};
}

}  // namespace

// Each message once, with the first cell that ended so.
std::string describe(const std::vector<SweepOutcome::Failure>& failures) {
  std::vector<std::pair<const SweepOutcome::Failure*, int64_t>> kinds;
  for (const SweepOutcome::Failure& failure : failures) {
    const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) {
      return kind.first->message == failure.message && kind.first->exit_code == failure.exit_code;
    });
    if (known == kinds.end())
      kinds.emplace_back(&failure, 0);
    else
      ++known->second;
  }
  std::string text;
  for (const auto& [failure, others] : kinds)
    text += (text.empty() ? "" : "\n") + failure->cell +
            (others > 0 ? " and " + counted(others, "other cell") : "") + ": exit code " +
            std::to_string(failure->exit_code) + ": " + failure->message;
  return text;
}

CellState cell_state(const Sweep& sweep, const SweepCell& cell, nlohmann::json* found) {
  const std::string path = sweep.directory + "/" + cell_record_path(cell);
  std::error_code absent;
  if (!fs::exists(path, absent)) return CellState::kOpen;
  const Result<FileText> file = read_file(path, kMaxRecordFileBytes);
  // The answers are most of it; they are read, so that a cut file shows, but not kept.
  nlohmann::json record;
  if (!file.ok() || parse_json(file->text, record, "queries")) return CellState::kForeign;
  if (!is_record_of(record, cell)) return CellState::kForeign;
  if (found != nullptr) *found = std::move(record);
  return CellState::kDone;
}

// Failures and journals of cells that are no more: their inputs have changed, and they have other
// names now.
static void forget_cells(const std::string& directory, const nlohmann::ordered_json& listing) {
  std::set<std::string> listed;  // ids, with which the names begin
  for (const nlohmann::ordered_json& cell : listing.at("cells"))
    listed.insert(fs::path(cell.at("failure").get<std::string>()).stem().string());
  std::error_code failed;
  std::vector<fs::path> gone;
  for (const char* folder : {"failures", kJournals})
    for (fs::directory_iterator entry(directory + "/" + folder, failed), end;
         !failed && entry != end; entry.increment(failed)) {
      const std::string name = entry->path().filename().string();
      if (!listed.contains(name.substr(0, name.find_first_of("-.")))) gone.push_back(entry->path());
    }
  for (const fs::path& path : gone) fs::remove(path, failed);
}

Status write_sweep_files(const Sweep& sweep) {
  std::set<std::string> written;
  for (const SweepCell& cell : sweep.cells) {
    if (!written.insert(cell.id).second) continue;
    const std::string path = sweep.directory + "/" + cell_pipeline_path(cell);
    const std::string text = "# " + visible_text(cell.name()) + "\n" + to_toml(cell.config);
    const Result<FileText> there = read_file(path, TomlDocument::kMaxBytes);
    if (!there.ok() || there->text != text) DBSA_RETURN_IF_ERROR(write_file_atomically(path, text));
  }
  const std::string path = sweep.directory + "/sweep.json";
  Result<nlohmann::ordered_json> before = read_record(path);
  const nlohmann::ordered_json listing =
      merged_listing(sweep, before.ok() ? std::move(before).value() : nullptr);
  DBSA_RETURN_IF_ERROR(write_file_atomically(path, listing.dump(1) + "\n"));
  forget_cells(sweep.directory, listing);
  return {};
}

Result<SweepOutcome> run_cells(const Sweep& sweep, const std::vector<const SweepCell*>& cells,
                               const SweepOptions& options, const host::HostServices& services,
                               Terminal& terminal) {
  DBSA_RETURN_IF_ERROR(write_sweep_files(sweep));
  SweepOutcome outcome;
  std::vector<Task> tasks = open_tasks(sweep, cells, options.fresh, terminal);
  std::map<std::string, int64_t> cells_of;  // by id
  int64_t total = 0;
  for (const Task& task : tasks) total += cells_of[task.cell->id] = task.cells;
  outcome.cells = static_cast<int64_t>(cells.size());
  outcome.before = outcome.cells - total;
  // A single one makes these checks itself, at once.
  if (tasks.size() > 1)
    DBSA_RETURN_IF_ERROR(drop_faulty(sweep, options, services, terminal, tasks, outcome));
  Progress progress(terminal, "sweeping  ", "cells");
  const auto show = [&](int64_t ended, const std::string& detail) {
    if (!options.watch) progress.update(ended, total, detail);
  };
  show(static_cast<int64_t>(outcome.failures.size()), "");
  CellRunner runner(sweep, options);
  bool told = false;
  for (size_t next = 0; (next < tasks.size() && !told) || runner.running() > 0;) {
    if (!told && (services.cancelled() || (options.watch && !options.watch()))) {
      runner.stop(SIGTERM);
      told = true;
      continue;
    }
    if (!told && next < tasks.size() && static_cast<int64_t>(runner.running()) < options.jobs) {
      DBSA_RETURN_IF_ERROR(runner.start(*tasks[next++].cell));
      continue;
    }
    std::optional<SweepOutcome::Failure> failure;
    DBSA_ASSIGN_OR_RETURN(const SweepCell* const ended, runner.reap(failure));
    if (ended == nullptr) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    if (failure && is_cancelled(failure->exit_code))
      outcome.stopped += cells_of[ended->id];
    else if (failure)
      outcome.failures.insert(outcome.failures.end(), cells_of[ended->id], *failure);
    else
      outcome.done += cells_of[ended->id];
    const auto failed = static_cast<int64_t>(outcome.failures.size());
    show(outcome.done + outcome.stopped + failed,
         failed > 0 ? human_count(failed) + " failed" : ended->name());
  }
  progress.finish();
  outcome.warnings = warnings_of(sweep, cells);
  remove_stale_parts(sweep.directory + "/parts");
  std::error_code used;
  fs::remove(sweep.directory + "/" + kJournals, used);  // where it is empty
  if (told)
    return Error{ErrorCode::kCancelled,
                 "stopped after " + counted(outcome.done, "cell") +
                     "; run the same command again to go on with the others",
                 ""};
  return outcome;
}

}  // namespace dbsa::cli
