#include "sweep_run.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <thread>

#include "child.h"
#include "config/toml_writer.h"
#include "pipeline/atomic_file.h"
#include "units.h"

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

std::string last_lines(const std::string& path) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  constexpr size_t kMost = 2000;
  if (text.size() > kMost) text.erase(0, text.find('\n', text.size() - kMost) + 1);
  return text;
}

// The processes of a sweep.
class CellRunner {
 public:
  CellRunner(const Sweep& sweep, const SweepOptions& options) : sweep_(sweep), options_(options) {}
  ~CellRunner() { stop(SIGKILL); }
  CellRunner(const CellRunner&) = delete;
  CellRunner& operator=(const CellRunner&) = delete;

  size_t running() const { return running_.size(); }

  Status start(const SweepCell& cell) {
    std::error_code failed;
    fs::remove_all(part(cell), failed);
    fs::create_directories(sweep_.directory + "/logs", failed);
    std::vector<std::string> words = {program_path(), "run",      path(cell_pipeline_path(cell)),
                                      "--quiet",      "--output", part(cell)};
    words.insert(words.end(), options_.child_options.begin(), options_.child_options.end());
    DBSA_ASSIGN_OR_RETURN(const pid_t child, start_child(words, log(cell)));
    running_.emplace(child, &cell);
    return {};
  }

  // Takes in a process that has ended, if there is one; its cell, or nullptr. No failure
  // means that the cell has its record now.
  Result<const SweepCell*> reap(std::optional<SweepOutcome::Failure>& failure) {
    for (auto& [child, cell] : running_) {
      int status = 0;
      if (::waitpid(child, &status, WNOHANG) != child) continue;
      const SweepCell* const ended = cell;
      running_.erase(child);
      DBSA_ASSIGN_OR_RETURN(failure, finish(*ended, child_exit_code(status)));
      return ended;
    }
    return nullptr;
  }

  void stop(int signal_number) {
    for (const auto& [child, cell] : running_) ::kill(child, signal_number);
    if (signal_number != SIGKILL) return;
    for (const auto& [child, cell] : running_) ::waitpid(child, nullptr, 0);
    running_.clear();
  }

 private:
  std::string path(const std::string& name) const { return sweep_.directory + "/" + name; }
  std::string part(const SweepCell& cell) const { return path("parts/" + cell.id); }
  std::string log(const SweepCell& cell) const { return path("logs/" + cell.id + ".txt"); }

  // Moves the record to its name, or writes down why there is none.
  Result<std::optional<SweepOutcome::Failure>> finish(const SweepCell& cell, int code) {
    std::error_code failed;
    std::string record;
    for (const auto& entry : fs::directory_iterator(part(cell), failed))
      if (code == 0 && entry.path().extension() == ".json") record = entry.path().string();
    if (!record.empty()) {
      fs::create_directories(path("records"), failed);
      fs::rename(record, path(cell_record_path(cell)), failed);
      if (failed)
        return Error{ErrorCode::kEnvironment,
                     path(cell_record_path(cell)) + ": cannot be written: " + failed.message(), ""};
      fs::remove(path(cell_failure_path(cell)), failed);
      fs::remove_all(part(cell), failed);
      fs::remove(log(cell), failed);
      return std::optional<SweepOutcome::Failure>();
    }
    fs::remove_all(part(cell), failed);
    const std::string message = last_lines(log(cell));
    const SweepOutcome::Failure failure = {cell.name(), code, message};
    if (code == 130) return std::optional(failure);
    DBSA_RETURN_IF_ERROR(write_file_atomically(
        path(cell_failure_path(cell)),
        nlohmann::ordered_json{
            {"index", cell.index}, {"name", cell.name()}, {"exit_code", code}, {"message", message}}
                .dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
            "\n"));
    return std::optional(failure);
  }

  const Sweep& sweep_;
  const SweepOptions& options_;
  std::map<pid_t, const SweepCell*> running_;
};

}  // namespace

bool cell_is_done(const Sweep& sweep, const SweepCell& cell) {
  std::error_code absent;
  return fs::is_regular_file(sweep.directory + "/" + cell_record_path(cell), absent);
}

Status write_sweep_files(const Sweep& sweep) {
  for (const SweepCell& cell : sweep.cells) {
    const std::string path = sweep.directory + "/" + cell_pipeline_path(cell);
    std::error_code absent;
    if (fs::exists(path, absent)) continue;  // its name is the hash of what it holds
    DBSA_RETURN_IF_ERROR(
        write_file_atomically(path, "# " + cell.name() + "\n" + to_toml(cell.config)));
  }
  return write_file_atomically(sweep.directory + "/sweep.json", sweep.to_json().dump(1) + "\n");
}

Result<SweepOutcome> run_cells(const Sweep& sweep, const std::vector<const SweepCell*>& cells,
                               const SweepOptions& options, const host::HostServices& services,
                               Terminal& terminal) {
  DBSA_RETURN_IF_ERROR(write_sweep_files(sweep));
  SweepOutcome outcome;
  outcome.cells = static_cast<int64_t>(cells.size());
  std::vector<const SweepCell*> todo;
  for (const SweepCell* cell : cells)
    if (options.fresh || !cell_is_done(sweep, *cell)) todo.push_back(cell);
  outcome.before = outcome.cells - static_cast<int64_t>(todo.size());
  const auto total = static_cast<int64_t>(todo.size());
  Progress progress(terminal, "sweeping  ", "cells");
  progress.update(0, total);
  CellRunner runner(sweep, options);
  bool told = false;
  for (size_t next = 0; next < todo.size() || runner.running() > 0;) {
    if (services.cancelled() && !told) {
      runner.stop(SIGTERM);
      next = todo.size();
      told = true;
      continue;
    }
    if (next < todo.size() && static_cast<int64_t>(runner.running()) < options.jobs) {
      DBSA_RETURN_IF_ERROR(runner.start(*todo[next++]));
      continue;
    }
    std::optional<SweepOutcome::Failure> failure;
    DBSA_ASSIGN_OR_RETURN(const SweepCell* const ended, runner.reap(failure));
    if (ended == nullptr) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    if (told) continue;
    if (failure)
      outcome.failures.push_back(*failure);
    else
      ++outcome.done;
    const auto failed = static_cast<int64_t>(outcome.failures.size());
    progress.update(outcome.done + failed, total,
                    failed > 0 ? human_count(failed) + " failed" : ended->name());
  }
  progress.finish();
  if (told)
    return Error{ErrorCode::kCancelled,
                 "stopped after " + counted(outcome.done, "cell") +
                     "; run the same command again to go on with the others",
                 ""};
  return outcome;
}

}  // namespace dbsa::cli
