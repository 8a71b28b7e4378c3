// dbsa-pipe query: answers from a pool that was encoded before.
//
// A text comes from the command line; JSON lines come from standard input, one object each, and are
// answered as they come, those that are there together. At a terminal, lines are texts. A file of
// queries becomes a table of answers (query_table.h).
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "commands.h"
#include "commands/answered_query.h"
#include "commands/input_lines.h"
#include "commands/item_errors.h"
#include "commands/query_line.h"
#include "commands/query_table.h"
#include "icl/example_check.h"
#include "json_output.h"
#include "options.h"
#include "pipeline/pool/pool_builder.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine query_command_line() {
  CommandLine line(
      {"query", "PIPELINE [TEXT]", "Answer a text, JSON lines or a file, from an encoded pool.",
       "Without TEXT, JSON lines are read from standard input: an object each, with the text "
       "under\n"
       "the pipeline's data.text_field (\"text\"), the expected label, if any, under "
       "data.label_field\n(\"label\"), and anything under \"id\", which is passed through. At a "
       "terminal each line is a text.\nUp to model.batch_size lines that are already waiting are "
       "answered in one batch.\nWhere prompt.demonstration makes a text of several fields, TEXT, "
       "and a "
       "line at a terminal, is a JSON\nobject with them: '{\"premise\": \"...\", \"claim\": "
       "\"...\"}'. With data.label_names expected labels are\ncodes, and answers names.\n\nThe "
       "pool must have been encoded (`dbsa-pipe encode` or "
       "`run`) with the same settings.\nOne line a query: label, tab, log-probability (natural "
       "logarithm, after decoding.scorer and the\ntemperature). Where decoding.abstain_below "
       "withholds the label: tab, log-probability, tab, label.\nWith --json one JSON object a "
       "query.\nA line that cannot be answered (it is no query, or its text is too long ...) gets "
       "an empty line and a\nmessage on standard error, with --json an object with "
       "\"line\" and \"error\" {\"code\", \"message\"}; the\nothers are answered, and the exit "
       "code is 2. With data.on_error = \"fail\" it ends the command.\n\n"
       "With --input a file is answered: .csv, .tsv or .jsonl, packed (.gz) or not, read as data "
       "files are.\nThe table has all of its columns as they are, and behind them label, "
       "probability, margin,\nrunner_up, abstained_label and error; a name that the file has "
       "already becomes "
       "answer_label, and so on. A row that\ncannot be answered has its error there. Answers on "
       "the way to --output FILE are kept in\nFILE.journal.jsonl: the same command continues "
       "after a stop, and starts over if the queries, the\npipeline or the pool are others. FILE "
       "appears once it is whole.",
       "dbsa-pipe query pipeline.toml \"my card has not arrived\"\n"
       "dbsa-pipe query pipeline.toml --json < queries.jsonl > answers.jsonl\n"
       "dbsa-pipe query pipeline.toml --input tickets.csv --output answered.csv.gz"});
  line.arguments({"PIPELINE", "TEXT"}, 1);
  add_pipeline_options(line);
  add_model_options(line);
  line.value("input", "FILE", "answer the queries of this file; -: of standard input");
  line.value("output", "FILE",
             "write the table here: .csv, .tsv or .jsonl, and .gz; -: to standard output, as the "
             "input is (default)");
  line.flag("fresh", "answer all rows again, also those that a stopped command has answered");
  line.flag("json", "print one JSON object a query on standard output, nothing else there");
  line.flag("quiet,q", "only warnings and errors on standard error");
  line.flag("verbose,v", "more notes on standard error");
  return line;
}
namespace {

using nlohmann::ordered_json;

// The id comes first, byte for byte as it was given.
void print_object(const Query& query, ordered_json rest, Terminal& terminal) {
  std::string text = as_document("answer", std::move(rest))
                         .dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (!query.id.empty()) text = "{\"id\":" + query.id + "," + text.substr(1);
  terminal.out(text);
}

void print_json(const Query& query, const Answer& answer, const std::vector<std::string>& labels,
                Terminal& terminal) {
  print_object(query, answered_to_json(query.example, answer, labels), terminal);
}

void print_plain(const Answer& answer, Terminal& terminal) {
  char number[32];
  std::snprintf(number, sizeof number, "%.6f", answer.label.log_probability);
  const std::string label = visible_text(answer.label.text);
  terminal.out((answer.abstained ? "" : label) + "\t" + number +
               (answer.abstained ? "\t" + label : ""));
}

// The label, or that it is withheld.
std::string answer_text(const Answer& answer, Terminal& terminal) {
  const std::string label = visible_text(answer.label.text);
  if (!answer.abstained) return terminal.out_style(Style::kBold, label);
  return terminal.out_style(Style::kYellow, "abstained") + " (" + label + ")";
}

void print_line(const Query& query, const Answer& answer, Terminal& terminal) {
  std::string line = answer_text(answer, terminal) + "  " + percent(answer.label.log_probability) +
                     "  " + terminal.out_style(Style::kDim, human_seconds(answer.seconds.total()));
  const std::string& expected = query.example.label;
  if (!expected.empty() && !is_right(query.example, answer.label.text))
    line += terminal.out_style(Style::kYellow, "  expected " + visible_text(expected));
  terminal.out(line);
}

void print_full(const Answer& answer, const Pipeline& pipeline, Terminal& terminal) {
  const auto percent_of = [](const AnswerLabel& label) {
    return "  (" + percent(label.log_probability) + ")";
  };
  terminal.out("label      " + answer_text(answer, terminal) + percent_of(answer.label));
  if (answer.runner_up)
    terminal.out("runner-up  " + visible_text(answer.runner_up->text) +
                 percent_of(*answer.runner_up));
  terminal.out("(percent)  " + meaning_of_percent(pipeline));
  std::string blocks;
  for (const AnswerBlock& block : answer.blocks)
    blocks += (blocks.empty() ? "" : ", ") + std::to_string(block.block);
  terminal.out("blocks     " + human_count(static_cast<int64_t>(answer.blocks.size())) +
               (blocks.empty() ? "" : ": " + blocks));
  terminal.out("tokens     " + human_count(answer.query_tokens) + " of the query, " +
               human_count(answer.selected_tokens) + " of the blocks");
  std::string steps;
  for (size_t step = 0; step < kAnswerSteps.size(); ++step) {
    const double seconds = answer.seconds.steps[step];
    if (step == static_cast<size_t>(AnswerStep::kRebuild) && seconds == 0) continue;
    steps += (steps.empty() ? "" : ", ") + std::string(kAnswerSteps[step]) + " " +
             human_seconds(seconds);
  }
  terminal.out("time       " + human_seconds(answer.seconds.total()) + "  (" + steps + ")");
}

Query read_query(const InputLine& line, int64_t number, bool typed, const DataSettings& data) {
  if (!line.too_long && typed) return typed_query(line.text, number, data.text);
  if (!line.too_long)
    return parse_query(line.text, number, data.text, data.label_field, data.names);
  Query query;
  query.example.line = number;
  query.error = bad_line(ItemFault::kMalformed, number,
                         "expected a line of at most " + std::to_string(kMaxRecordBytes) +
                             " bytes, found a longer one; write one object a line");
  return query;
}

// The queries of the lines that are there, `most` at most; waits only for the first. None at the
// end.
std::vector<Query> next_queries(InputLines& input, const DataSettings& data, bool typed,
                                size_t most, Terminal& terminal) {
  std::vector<Query> queries;
  InputLine line;
  const auto next = [&] {
    if (typed) terminal.set_progress("> ");
    if (!input.next(line)) return false;
    terminal.drop_progress();  // what was typed stands after it
    return true;
  };
  while (queries.size() < most && (queries.empty() || input.ready()) && next())
    if (!is_blank(line.text) || line.too_long)
      queries.push_back(read_query(line, input.number(), typed, data));
  return queries;
}

// Answers lines as they come. A line that cannot be answered stops no other: it gets an error in
// its place, and the command ends with that error's exit code.
class LineAnswers {
 public:
  LineAnswers(Pipeline& pipeline, bool json, Terminal& terminal)
      : pipeline_(pipeline),
        labels_(pipeline.labels()),
        json_(json),
        terminal_(terminal),
        errors_(pipeline.settings().data.on_error) {}

  // An error that is not a line's own, or that data.on_error lets end the command.
  Status answer(std::vector<Query> queries) {
    std::vector<std::string> texts;
    for (const Query& query : queries)
      if (!query.error) texts.push_back(query.example.text);
    std::vector<Result<Outcome>> outcomes;
    if (!texts.empty()) outcomes = pipeline_.answer_together(texts);
    auto next = outcomes.begin();
    for (Query& query : queries) {
      std::optional<Answer> answer;
      if (!query.error) {
        DBSA_ASSIGN_OR_RETURN(Outcome outcome, std::move(*next++));
        if (const ItemError* error = std::get_if<ItemError>(&outcome))
          query.error = bad_line(error->fault, query.example.line, error->message);
        else
          answer = std::get<Answer>(std::move(outcome));
      }
      if (answer) {
        errors_.add_answer();
        print(query, *answer);
      } else {
        print_error(query);
        if (Status ends = errors_.add(*query.error); !ends.ok()) return told(std::move(ends));
      }
    }
    return {};
  }

  int64_t answered() const { return errors_.answered(); }
  // kConfig where some line got no answer.
  Status status() const { return told(errors_.status("line")); }

 private:
  // With --json the objects of the lines have said it.
  Status told(Status status) const {
    if (!status.ok()) terminal_.document_given();
    return status;
  }
  void print(const Query& query, const Answer& answer) {
    if (json_)
      print_json(query, answer, labels_, terminal_);
    else if (terminal_.out_is_terminal())
      print_line(query, answer, terminal_);
    else
      print_plain(answer, terminal_);
  }

  // Without --json an empty line keeps the place, so that the n-th line still answers the n-th
  // query.
  void print_error(const Query& query) {
    if (json_) {
      print_object(query,
                   {{"line", query.example.line}, {"error", item_error_to_json(*query.error)}},
                   terminal_);
      return;
    }
    // What ends the command is told at its end.
    if (pipeline_.settings().data.on_error == OnError::kReport)
      terminal_.error(query.error->message);
    if (!terminal_.out_is_terminal()) terminal_.out("");
  }

  Pipeline& pipeline_;
  const std::vector<std::string> labels_;
  bool json_;
  Terminal& terminal_;
  ItemErrors errors_;
};

Status answer_lines(Pipeline& pipeline, Session& session, const CommandLine& line,
                    Terminal& terminal) {
  const bool typed = ::isatty(STDIN_FILENO) != 0;
  if (typed)
    terminal.note("Type a text and Enter; Ctrl-D ends. The percentage is " +
                  meaning_of_percent(pipeline) + ".");
  InputLines input(STDIN_FILENO, kMaxRecordBytes,
                   [&session] { return session.services().cancelled(); });
  LineAnswers answers(pipeline, line.has("json"), terminal);
  const auto most = static_cast<size_t>(pipeline.batch_size());
  while (!session.services().cancelled() && !terminal.out_failed()) {
    std::vector<Query> queries =
        next_queries(input, pipeline.settings().data, typed, most, terminal);
    if (queries.empty()) break;
    DBSA_RETURN_IF_ERROR(answers.answer(std::move(queries)));
  }
  terminal.set_progress("");
  if (session.services().cancelled())
    return Error{ErrorCode::kCancelled, "stopped after " + counted(answers.answered(), "answer"),
                 ""};
  if (terminal.out_failed()) return {};  // which close_out() tells
  if (input.failed()) return Error{ErrorCode::kEnvironment, "standard input: cannot be read", ""};
  return answers.status();
}

// A query is answered from the pool as it was encoded, so a change of its data would go unnoticed.
void warn_of_changed_data(const Pipeline& pipeline, Terminal& terminal) {
  const Settings& settings = pipeline.settings();
  // A store's times are whole seconds: what is of the same one may be newer.
  const auto newer = [&](const std::string& path) {
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 && info.st_mtime >= pipeline.pool_changed_unix_s();
  };
  const auto warn = [&](const std::string& path) {
    terminal.warning(shown_path(path) +
                     " has changed since the pool was encoded, and answers are from the pool as it "
                     "was; run `dbsa-pipe encode` again");
  };
  if (newer(settings.data.demonstrations)) {
    const Result<DataRows> rows = read_demonstrations(settings.data);
    if (!rows.ok() || rows->identity != pipeline.pool().demonstration_rows)
      warn(settings.data.demonstrations);
  }
  if (!settings.data.labels.empty() && newer(settings.data.labels)) {
    const Result<LabelRows> rows = read_labels(settings.data, {});
    if (!rows.ok() || rows->identity != pipeline.pool().label_rows) warn(settings.data.labels);
  }
}

Status query(Session& session, const CommandLine& line, Terminal& terminal) {
  std::optional<TableQueries> table;
  if (line.has("input") || line.has("output") || line.has("fresh")) {
    set_phase("reading the queries");
    DBSA_ASSIGN_OR_RETURN(table, TableQueries::read(session, line));
  }
  set_phase("opening the model");
  terminal.set_progress("opening the model ...");
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Pipeline> pipeline, session.open_pipeline());
  set_phase("opening the pool");
  DBSA_RETURN_IF_ERROR(pipeline->open_pool());
  terminal.set_progress("");
  set_phase("answering");
  warn_of_changed_data(*pipeline, terminal);
  if (table) return table->answer(*pipeline, session, line, terminal);
  if (!line.has("TEXT")) return answer_lines(*pipeline, session, line, terminal);
  Query query;
  DBSA_RETURN_IF_ERROR(check_text("TEXT", line.text("TEXT")));
  DBSA_ASSIGN_OR_RETURN(query.example.text,
                        given_text("TEXT", line.text("TEXT"), pipeline->settings().data.text));
  DBSA_ASSIGN_OR_RETURN(const Answer answer, pipeline->answer(query.example.text));
  if (line.has("json"))
    print_json(query, answer, pipeline->labels(), terminal);
  else if (terminal.out_is_terminal())
    print_full(answer, *pipeline, terminal);
  else
    print_plain(answer, terminal);
  return {};
}

}  // namespace

int query_command(Words words, Terminal& terminal) {
  CommandLine line = query_command_line();
  return with_session(line, words, terminal, query);
}

}  // namespace dbsa::cli
