// Runs the cells of a sweep, each as a separate process, a few at a time.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "commands/sweep_warnings.h"
#include "host/host_services.h"
#include "sweep/sweep.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct SweepOptions {
  int64_t jobs = 1;
  std::vector<std::string> child_options;  // of its process: --threads and the like
  bool fresh = false;                      // repeat cells that have a record
  // Asked some times a second while cells run, and shows how far they are instead of the sweep;
  // false stops them, as a signal does.
  std::function<bool()> watch = {};
};

struct SweepOutcome {
  int64_t cells = 0;   // chosen
  int64_t before = 0;  // that had a record already
  int64_t done = 0;    // run now
  struct Failure {
    std::string cell;  // "method = DBSA, run 1"
    int exit_code = 0;
    std::string message;
  };
  std::vector<Failure> failures;
  int64_t stopped = 0;     // by a signal that only their process got; they have no record
  SweepWarnings warnings;  // of all chosen cells that have a record
};

// A line for each message, with the first cell that ended so and how many others did.
std::string describe(const std::vector<SweepOutcome::Failure>& failures);

enum class CellState {
  kOpen,
  kDone,     // has its record
  kForeign,  // the file with its record's name is not a record of it
};
// Reads the record. record: gets it where it is one of the cell, without `queries`.
CellState cell_state(const Sweep& sweep, const SweepCell& cell, nlohmann::json* record = nullptr);

// Writes sweep.json and the cells' pipeline files, checks what has no record yet (check_cells),
// then runs it. A cell that fails is written down and stops no other; cells of one pipeline are run
// as one. Several sweeps may work in one folder. kCancelled once those that ran have ended.
Result<SweepOutcome> run_cells(const Sweep& sweep, const std::vector<const SweepCell*>& cells,
                               const SweepOptions& options, const host::HostServices& services,
                               Terminal& terminal);

// Writes sweep.json and the pipeline file of every cell.
Status write_sweep_files(const Sweep& sweep);

}  // namespace dbsa::cli
