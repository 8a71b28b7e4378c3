// Queries answered one batch after another, and what int8 changes in the answers.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "pipeline/kv_error.h"
#include "pipeline/record.h"
#include "session.h"
#include "terminal.h"

namespace dbsa::cli {

// Answers texts in their order, as many together as the pipeline says, and hands each answer over
// at once. The first error ends it; kCancelled when the user stopped it.
Status answer_each(Engine& engine, const host::HostServices& services,
                   std::span<const std::string> texts, const std::function<void(Answer)>& take);

// Whether a run has to measure what int8 changes: asked to, and with answers that may differ.
bool wants_kv_error(const Settings& settings, const RunRecord& record);

// Answers the first of the record's queries once more, from keys and values kept as bfloat16. pool:
// the run's. Its engine should be gone by now: this opens one of its own.
Result<KvError> measure_kv_error(Session& session, Pool pool, const RunRecord& record,
                                 Terminal& terminal);

}  // namespace dbsa::cli
