#include "commands/sweep_check.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "commands/sweep_parts.h"
#include "commands/sweep_run.h"
#include "terminal/child.h"
#include "terminal/children.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

std::vector<std::string> check_of(const Sweep& sweep, const SweepCell& cell,
                                  const SweepOptions& options) {
  std::vector<std::string> words = {program_path(), "validate",
                                    sweep.directory + "/" + cell_pipeline_path(cell), "--quiet"};
  // Such a query ends the cell, so it is looked for, too.
  const nlohmann::json& data = cell.config.at("data");
  if (data.value("on_error", "") != "fail") words.emplace_back("--skip-queries");
  words.insert(words.end(), options.child_options.begin(), options.child_options.end());
  return words;
}

}  // namespace

Result<std::vector<std::optional<CellFault>>> check_cells(
    const Sweep& sweep, const std::vector<const SweepCell*>& cells, const SweepOptions& options,
    const host::HostServices& services, Terminal& terminal) {
  std::vector<std::optional<CellFault>> faults(cells.size());
  std::vector<PartFolder> parts(cells.size());
  // Each reads the tokenizer and the pool's texts.
  constexpr int kMostForMemory = 8;
  const auto most = static_cast<size_t>(
      std::max<int64_t>(options.jobs, std::min(services.thread_count(), kMostForMemory)));
  Progress progress(terminal, "checking  ", "cells");
  const auto total = static_cast<int64_t>(cells.size());
  progress.update(0, total);
  Children children;
  int64_t checked = 0, at_fault = 0;
  for (size_t next = 0; next < cells.size() || children.running() > 0;) {
    if (services.cancelled())
      return Error{ErrorCode::kCancelled, "stopped while checking cells", ""};
    if (next < cells.size() && children.running() < most) {
      DBSA_ASSIGN_OR_RETURN(parts[next],
                            PartFolder::make(sweep.directory + "/parts", cells[next]->id));
      DBSA_RETURN_IF_ERROR(children.start(next, check_of(sweep, *cells[next], options),
                                          parts[next].path() + "/log.txt"));
      ++next;
      continue;
    }
    const std::optional<Children::Ended> ended = children.reap();
    if (!ended) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    // One that a signal has ended has found nothing: the cell itself will tell.
    if (ended->exit_code != 0 && ended->exit_code < 128) {
      faults[ended->task] = {ended->exit_code, said_last(parts[ended->task].path() + "/log.txt")};
      ++at_fault;
    }
    parts[ended->task] = {};
    progress.update(++checked, total, at_fault > 0 ? human_count(at_fault) + " cannot run" : "");
  }
  progress.finish();
  return faults;
}

}  // namespace dbsa::cli
