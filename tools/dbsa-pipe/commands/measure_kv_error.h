// What int8 keys and values change in the answers of a run.
#pragma once

#include "pipeline/kv_error.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

// Whether a run has to measure what int8 changes: asked to, and with answers that may differ.
bool wants_kv_error(const Settings& settings, const RunRecord& record);

// Answers the first of the record's queries once more, from keys and values kept as bfloat16. pool:
// the run's. Its pipeline should be gone by now: this opens another.
Result<KvError> measure_kv_error(Session& session, Pool pool, const RunRecord& record,
                                 Terminal& terminal);

}  // namespace dbsa::cli
