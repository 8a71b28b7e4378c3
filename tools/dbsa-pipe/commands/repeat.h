// A run that repeats the one of a record.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

#include "options.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

// Before anything is computed: kRun with everything that the answers depend on and that is not as
// the record says. With --set, which asks for a difference, a warning instead. Another build of a
// plugin's revision is a warning, too.
Status check_repeatable(const Session& session, const EarlierRecord& earlier,
                        const CommandLine& line, Terminal& terminal);

// Once the pool is made: kRun where its blocks hold the demonstrations otherwise than the record's,
// and so for another draw; with --set a warning.
Status check_draw(const std::string& draw, const EarlierRecord& earlier, const CommandLine& line,
                  Terminal& terminal);

// How many answers have the label that the record has.
struct Comparison {
  int64_t equal = 0;
  int64_t answers = 0;
};
Result<Comparison> compare_with(const EarlierRecord& earlier, const RunRecord& record);

}  // namespace dbsa::cli
