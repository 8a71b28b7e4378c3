// How long a pipeline's work takes on this machine: an estimate, from short passes of the model's
// first layers on the pipeline's own backend, with the rows and the segments that encoding and
// answering have. Nothing is written, and no value that comes out is used.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>

#include "commands/explain_cost.h"
#include "commands/findings.h"
#include "session.h"

namespace dbsa::cli {

struct PipelineTime {
  double encode_seconds = 0;    // of all blocks, those the store may have already included
  double request_seconds = 0;   // of one query: its share where several are answered together
  double measured_seconds = 0;  // that the passes took
  int64_t measured_layers = 0;  // of the model
};

// Loads some of the model's layers and its head, and runs them for a fraction of a second. Loading,
// packing, retrieval, the store and the disk are not in the estimate. Errors as of Pipeline::open:
// kEnvironment where the backend's device is absent, for one.
Result<PipelineTime> measure_time(Session& session, const Findings& found,
                                  const PipelineCost& cost);

}  // namespace dbsa::cli
