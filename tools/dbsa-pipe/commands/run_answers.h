// Answers the queries of a run, and keeps the answers on disk as they come.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline/engine.h"
#include "pipeline/record/journal.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct RunAnswers {
  std::optional<Journal> journal;  // locked while this lives; none where it could not be made
  Status items;                    // kConfig where a query has no answer: their errors, a line each
};

struct JournalChoice {
  std::string folder;
  bool fresh = false;  // not to be continued after
};

// Fills in record.queries and record.answer_seconds; the rest of the record says what the run is.
// Continues a run that was stopped. An error is one of the whole run; on
// kCancelled the answers so far are kept.
Result<RunAnswers> answer_queries(Engine& engine, Session& session, std::vector<Row> queries,
                                  const JournalChoice& journal, Terminal& terminal,
                                  RunRecord& record);

// Removes the journal of a run whose record is written.
void remove_journal(RunAnswers& answers, Terminal& terminal);

}  // namespace dbsa::cli
