// What the next `encode` or `run` will do to the stored pool of a pipeline, told without its model.
#pragma once

#include <dbsa/sdk/result.h>

#include <optional>

#include "commands/findings.h"
#include "pipeline/pipeline.h"
#include "session.h"

namespace dbsa::cli {

// None where the store holds no pool of these settings, or it takes embeddings to know its blocks.
// Of pools that differ only in the weights of the model the last one counts, which are not read.
// The store is only read, bytes are not looked at: those of the estimate are 0.
Result<std::optional<EncodeEstimate>> preview_edit(Session& session, const Findings& found);

}  // namespace dbsa::cli
