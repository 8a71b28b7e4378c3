// What `validate` says of the cells of a sweep, before the first of them computes anything.
#pragma once

#include <dbsa/sdk/result.h>

#include <optional>
#include <string>
#include <vector>

#include "host/host_services.h"
#include "sweep/sweep.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct SweepOptions;

struct CellFault {
  int exit_code = 0;
  std::string message;
};

// Checks each cell in its own process, several at once: pools are dealt and tokenised, and
// nothing is computed. Single queries are looked at only where one of them ends the run. One entry
// for each cell: why it cannot run. Costs what `validate` does, from 50 ms to a few seconds a cell.
// kCancelled once the processes have ended.
Result<std::vector<std::optional<CellFault>>> check_cells(
    const Sweep& sweep, const std::vector<const SweepCell*>& cells, const SweepOptions& options,
    const host::HostServices& services, Terminal& terminal);

}  // namespace dbsa::cli
