// The pipeline file that `tune` writes: the start file's text with the chosen settings.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "commands/tune_result.h"
#include "session.h"

namespace dbsa::cli {

// The text, with comments that say what was chosen and why. It keeps the start file's comments
// where its way of writing allows it, else it is written as a whole. Reading it gives the chosen
// pipeline: kRun where it would not.
Result<std::string> tuned_file(Session& session, const TuneResult& result);

}  // namespace dbsa::cli
