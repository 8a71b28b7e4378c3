#include "commands/run_answers.h"

#include <optional>
#include <utility>

#include "commands/item_errors.h"
#include "config/stopwatch.h"
#include "host/store_keys.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

class RunQueries {
 public:
  RunQueries(Pipeline& pipeline, Session& session, AnswerJob job, Terminal& terminal,
             RunRecord& record)
      : pipeline_(pipeline),
        session_(session),
        job_(std::move(job)),
        queries_(job_.queries),
        terminal_(terminal),
        record_(record),
        errors_(pipeline.settings().data.on_error),
        progress_(terminal, "answering ", "queries") {}

  // Takes over what an earlier process has answered.
  Status open_journal() {
    const JournalChoice& choice = job_.journal;
    if (choice.path.empty()) return {};
    Result<Journal> opened =
        Journal::open(choice.path, choice.identity, record_.encode, queries_, choice.fresh);
    if (!opened.ok()) {
      warn_of_journal(opened.error());
      return {};
    }
    journal_ = std::move(opened).value();
    if (journal_->was_of_another())
      terminal_.note("answering all queries: the answers in " + shown_path(choice.path) +
                     " are of other queries, another pipeline or another pool");
    journal_->add_encoded(record_.encode);
    for (const JournalEntry& entry : journal_->entries()) {
      before_ = entry.answer_seconds;
      DBSA_RETURN_IF_ERROR(take(entry.outcome));
    }
    if (const auto kept = static_cast<int64_t>(journal_->entries().size()); kept > 0)
      terminal_.note(
          "continuing after " + human_count(kept) + " of " +
          counted(static_cast<int64_t>(queries_.size()), "answer") +
          ", which were kept when a run like this was stopped; --fresh gives them again");
    return {};
  }

  Status answer_all() {
    show_progress();
    while (done() < queries_.size() && !ended_) {
      if (Status answered = answer_batch(); !answered.ok()) return stopped(answered.error());
      show_progress();
    }
    record_.answer_seconds = before_ + clock_.seconds();
    if (Status given = errors_.status("query");
        !given.ok() && errors_.answered() == 0 && given.error().code == ErrorCode::kPlugin)
      return stopped(given.error());
    if (journal_) warn_where_failed(journal_->sync());
    progress_.finish();
    return {};
  }

  RunAnswers result() {
    RunAnswers answers;
    answers.journal = std::move(journal_);
    if (errors_.count() == 0) return answers;
    std::vector<Row> failed;
    for (const QueryRecord& query : record_.queries)
      if (query.error) failed.push_back({query.query, query.error});
    answers.items = Error{
        ErrorCode::kConfig,
        describe_faults(failed, job_.name) + "\n" + errors_.status("query").error().message, ""};
    return answers;
  }

 private:
  size_t done() const { return record_.queries.size(); }

  // Answers as many together as the pipeline says; rows without a text to answer go with them.
  Status answer_batch() {
    if (session_.services().cancelled()) return Error{ErrorCode::kCancelled, "", ""};
    const auto together = static_cast<size_t>(pipeline_.batch_size());
    std::vector<std::string> texts;
    size_t end = done();
    for (; end < queries_.size() && texts.size() < together; ++end)
      if (!queries_[end].error) texts.push_back(queries_[end].example.text);
    std::vector<Result<Outcome>> outcomes;
    if (!texts.empty()) outcomes = pipeline_.answer_together(texts);
    for (auto next = outcomes.begin(); done() < end;) {
      const Row& row = queries_[done()];
      JournalEntry entry;
      if (row.error) {
        entry.outcome = *row.error;
      } else {
        DBSA_ASSIGN_OR_RETURN(entry.outcome, std::move(*next++));
      }
      if (ItemError* error = std::get_if<ItemError>(&entry.outcome); error && !row.error)
        error->message = job_.name + ":" + std::to_string(row.example.line) + ": " + error->message;
      entry.answer_seconds = before_ + clock_.seconds();
      DBSA_RETURN_IF_ERROR(take(entry.outcome));
      if (journal_) warn_where_failed(journal_->append(row, entry));
    }
    return {};
  }

  // The next query's outcome.
  Status take(const Outcome& outcome) {
    QueryRecord query;
    query.query = queries_[done()].example;
    if (const ItemError* error = std::get_if<ItemError>(&outcome)) {
      DBSA_RETURN_IF_ERROR(errors_.add(*error));
      query.error = *error;
    } else {
      errors_.add_answer();
      query.answer = std::get<Answer>(outcome);
    }
    if (!query.query.label.empty()) {
      ++labelled_;
      correct_ += !query.error && is_right(query.query, query.answer.label.text) ? 1 : 0;
    }
    if (job_.answered) ended_ = !job_.answered(query) || ended_;
    record_.queries.push_back(std::move(query));
    return {};
  }

  void show_progress() {
    std::string detail;
    if (labelled_ > 0)
      detail = "accuracy " +
               human_ratio(static_cast<double>(correct_) / static_cast<double>(labelled_)) +
               " so far";
    progress_.update(static_cast<int64_t>(done()), static_cast<int64_t>(queries_.size()), detail);
  }

  // What ends the run before all is answered.
  Error stopped(Error error) {
    progress_.finish();
    if (error.code == ErrorCode::kCancelled) {
      error.message = "stopped after " + human_count(static_cast<int64_t>(done())) + " of " +
                      counted_queries(static_cast<int64_t>(queries_.size()));
      if (journal_ && done() > 0 && warn_where_failed(journal_->sync()))
        error.message += "; the answers are kept: run the same command again to continue";
      else
        error.message +=
            "; " + job_.lost +
            (host::store_keys(session_.resolved()).keeps() ? ", the encoded pool is kept" : "");
    }
    // Answers that are none are not to be kept.
    if (journal_ && (done() == 0 || errors_.answered() == 0)) (void)journal_->remove();
    if (error.code == ErrorCode::kRun)
      error.message =
          "query of line " + std::to_string(queries_[done()].example.line) + ": " + error.message;
    return error;
  }

  // Answers are worth more than their journal: without one the run goes to its end all the same.
  void warn_of_journal(const Error& error) {
    terminal_.warning(error.message +
                      "; answers are kept in memory only, so a run that is stopped loses them");
  }
  bool warn_where_failed(const Status& status) {
    if (!status.ok()) warn_of_journal(status.error());
    return status.ok();
  }

  Pipeline& pipeline_;
  Session& session_;
  const AnswerJob job_;
  const std::vector<Row>& queries_;
  Terminal& terminal_;
  RunRecord& record_;
  ItemErrors errors_;
  Progress progress_;
  Stopwatch clock_;
  std::optional<Journal> journal_;
  double before_ = 0;  // seconds of earlier processes
  int64_t labelled_ = 0, correct_ = 0;
  bool ended_ = false;  // nobody takes answers any more
};

}  // namespace

Result<RunAnswers> answer_queries(Pipeline& pipeline, Session& session, AnswerJob job,
                                  Terminal& terminal, RunRecord& record) {
  RunQueries run(pipeline, session, std::move(job), terminal, record);
  DBSA_RETURN_IF_ERROR(run.open_journal());
  DBSA_RETURN_IF_ERROR(run.answer_all());
  terminal.note("answered   " + counted_queries(static_cast<int64_t>(record.queries.size())) +
                " in " + human_seconds(record.answer_seconds));
  return run.result();
}

void remove_journal(RunAnswers& answers, Terminal& terminal) {
  if (!answers.journal) return;
  if (const Status removed = answers.journal->remove(); !removed.ok())
    terminal.warning(removed.error().message +
                     "; remove it, or the next run like this one takes over its answers");
}

}  // namespace dbsa::cli
