// Answers the queries of a file, and keeps the answers on disk as they come.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
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
  std::string path;  // "": none is kept
  std::string identity;
  bool fresh = false;  // not to be continued after
};

struct AnswerJob {
  std::string name;  // of the queries' file, for messages
  std::vector<Row> queries;
  JournalChoice journal;
  std::string
      lost;  // what is missing after a stop without a journal: "no result record is written"
  // Called for each query in their order, if given; false ends the work.
  std::function<bool(const QueryRecord&)> answered = {};
};

// Fills in record.queries and record.answer_seconds; the rest of the record says what the run is.
// Continues a run that was stopped. An error is one of the whole run; on
// kCancelled the answers so far are kept.
Result<RunAnswers> answer_queries(Pipeline& pipeline, Session& session, AnswerJob job,
                                  Terminal& terminal, RunRecord& record);

// Removes the journal of a run whose results are written.
void remove_journal(RunAnswers& answers, Terminal& terminal);

}  // namespace dbsa::cli
