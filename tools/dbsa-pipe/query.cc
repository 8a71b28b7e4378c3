// dbsa-pipe query: answers from a pool that was encoded before.
//
// A text comes from the command line; JSON lines come from standard input, one object each, and are
// answered as they come, those that are there together. At a terminal, lines are texts.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "config/schema_check.h"
#include "options.h"
#include "pipeline/pool_builder.h"
#include "pipeline/pool_manifest.h"
#include "pipeline/record.h"
#include "session.h"
#include "sudden_end.h"
#include "units.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

CommandLine query_command_line() {
  CommandLine line(
      {"query", "PIPELINE [TEXT]", "Answer a text, or JSON lines, from an encoded pool.",
       "Without TEXT, JSON lines are read from standard input: an object each, with the text "
       "under\n"
       "the pipeline's data.text_field (\"text\"), the expected label, if any, under "
       "data.label_field\n(\"label\"), and anything under \"id\", which is passed through. At a "
       "terminal each line is a text.\nOf lines that are there already, model.batch_size are "
       "answered together.\n\nThe pool must have been encoded (`dbsa-pipe encode` or "
       "`run`) with the same settings.\nOne line a query: label, tab, log-probability; with --json "
       "one JSON object a query.",
       "dbsa-pipe query pipeline.toml \"my card has not arrived\"\n"
       "dbsa-pipe query pipeline.toml --json < queries.jsonl > answers.jsonl"});
  line.arguments({"PIPELINE", "TEXT"}, 1);
  add_pipeline_options(line);
  add_model_options(line);
  line.flag("json", "print one JSON object a query on standard output, nothing else there");
  line.flag("quiet,q", "no progress and no notes on standard error");
  line.flag("verbose,v", "more notes on standard error");
  return line;
}

struct Query {
  Example example;
  nlohmann::json id;  // null where none is given
};

std::string percent(double log_probability) { return human_ratio(std::exp(log_probability)); }

void print_json(const Query& query, const Answer& answer, Terminal& terminal) {
  ordered_json out;
  if (!query.id.is_null()) out["id"] = ordered_json(query.id);
  const Example& example = query.example;
  const bool labelled = !example.label.empty();
  out["text"] = example.text;
  out["expected"] = labelled ? ordered_json(example.label) : ordered_json(nullptr);
  out["correct"] =
      labelled ? ordered_json(is_right(example, answer.label.text)) : ordered_json(nullptr);
  out.update(answer_to_json(answer));
  terminal.out(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

void print_plain(const Answer& answer, Terminal& terminal) {
  char number[32];
  std::snprintf(number, sizeof number, "%.6f", answer.label.log_probability);
  terminal.out(visible_text(answer.label.text) + "\t" + number);
}

void print_line(const Query& query, const Answer& answer, Terminal& terminal) {
  std::string line = terminal.out_style(Style::kBold, visible_text(answer.label.text)) + "  " +
                     percent(answer.label.log_probability) + "  " +
                     terminal.out_style(Style::kDim, human_seconds(answer.seconds.total()));
  const std::string& expected = query.example.label;
  if (!expected.empty() && !is_right(query.example, answer.label.text))
    line += terminal.out_style(Style::kYellow, "  expected " + visible_text(expected));
  terminal.out(line);
}

void print_full(const Answer& answer, Terminal& terminal) {
  const auto labelled = [&](const AnswerLabel& label) {
    return visible_text(label.text) + "  (" + percent(label.log_probability) + ")";
  };
  terminal.out("label      " + terminal.out_style(Style::kBold, labelled(answer.label)));
  if (answer.runner_up) terminal.out("runner-up  " + labelled(*answer.runner_up));
  std::string blocks;
  for (const AnswerBlock& block : answer.blocks)
    blocks += (blocks.empty() ? "" : ", ") + std::to_string(block.block);
  terminal.out("blocks     " + human_count(static_cast<int64_t>(answer.blocks.size())) +
               (blocks.empty() ? "" : ": " + blocks));
  terminal.out("tokens     " + human_count(answer.query_tokens) + " of the query, " +
               human_count(answer.selected_tokens) + " of the blocks");
  const AnswerTimings& t = answer.seconds;
  terminal.out("time       " + human_seconds(t.total()) + "  (retrieve " +
               human_seconds(t.retrieve) + ", load " + human_seconds(t.load) + ", verify " +
               human_seconds(t.verify) + ", prefill " + human_seconds(t.prefill) + ", decode " +
               human_seconds(t.decode) + ")");
}

// "standard input:3: ..."
Error bad_line(int64_t number, const std::string& what) {
  return Error{ErrorCode::kConfig, "standard input:" + std::to_string(number) + ": " + what, ""};
}

Result<Query> parse_query(const std::string& line, int64_t number, const DataSettings& data) {
  const nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
  if (value.is_discarded()) return bad_line(number, "not JSON; expected one object a line");
  if (!value.is_object()) return bad_line(number, "expected an object, found " + described(value));
  const auto text = value.find(data.text_field);
  if (text == value.end())
    return bad_line(number, "the object has no " + in_quotes(data.text_field));
  if (!text->is_string() || text->get_ref<const std::string&>().empty())
    return bad_line(number, in_quotes(data.text_field) + ": expected a string that is not empty, " +
                                "found " + described(*text));
  Query query = {{text->get<std::string>(), ""}, value.value("id", nlohmann::json())};
  const auto label = value.find(data.label_field);
  if (label == value.end() || label->is_null()) return query;
  const nlohmann::json labels = label->is_array() ? *label : nlohmann::json::array({*label});
  for (const nlohmann::json& one : labels) {
    if (!one.is_string())
      return bad_line(number, in_quotes(data.label_field) + ": expected a string" +
                                  (label->is_array() ? " in the array" : "") + ", found " +
                                  described(one));
    std::string& place =
        &one == &labels.front() ? query.example.label : query.example.more_labels.emplace_back();
    place = one.get<std::string>();
  }
  return query;
}

// Lines of standard input. A signal ends the reading, so it is done with read(2): C's and C++'s
// streams differ in whether they go on after one.
class InputLines {
 public:
  explicit InputLines(const host::HostServices& services) : services_(services) {}

  // False at the end, on a signal, and when the input cannot be read, which failed() tells.
  bool next(std::string& line) {
    size_t end = 0;
    while ((end = buffer_.find('\n', searched_)) == buffer_.npos) {
      searched_ = buffer_.size();
      if (!fill()) break;
    }
    if (end == buffer_.npos && (buffer_.empty() || !ended_)) return false;
    line = buffer_.substr(0, end);
    buffer_.erase(0, end == buffer_.npos ? end : end + 1);
    searched_ = 0;
    while (!line.empty() && line.back() == '\r') line.pop_back();
    ++number_;
    return true;
  }
  // Whether another whole line was read already.
  bool ready() const { return buffer_.find('\n', searched_) != buffer_.npos; }
  // Gives the last line out once more.
  void put_back(const std::string& line) {
    buffer_.insert(0, line + "\n");
    --number_;
  }
  int64_t number() const { return number_; }
  bool failed() const { return failed_; }

 private:
  bool fill() {
    if (ended_) return false;
    std::array<char, 65536> chunk;
    ssize_t length = 0;
    do length = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    while (length < 0 && errno == EINTR && !services_.cancelled());
    if (length > 0) {
      buffer_.append(chunk.data(), static_cast<size_t>(length));
      return true;
    }
    ended_ = length == 0;
    failed_ = length < 0 && errno != EINTR;
    return false;
  }

  const host::HostServices& services_;
  std::string buffer_;  // what was read and not yet given out
  size_t searched_ = 0;
  bool ended_ = false, failed_ = false;
  int64_t number_ = 0;
};

// The queries of the lines that are there, `most` at most; waits for the first alone. None at the
// end.
Result<std::vector<Query>> next_queries(InputLines& input, const DataSettings& data, bool typed,
                                        size_t most, Terminal& terminal) {
  std::vector<Query> queries;
  std::string words;
  const auto next = [&] {
    if (typed) terminal.set_progress("> ");
    if (!input.next(words)) return false;
    terminal.drop_progress();  // what was typed stands after it
    return true;
  };
  while (queries.size() < most && (queries.empty() || input.ready()) && next()) {
    if (words.find_first_not_of(" \t") == words.npos) continue;
    Query query = {{words, ""}, nullptr};
    if (!typed) {
      Result<Query> parsed = parse_query(words, input.number(), data);
      if (!parsed.ok()) {
        if (queries.empty()) return parsed.error();
        input.put_back(words);  // those before it are answered first
        break;
      }
      query = std::move(parsed).value();
    }
    queries.push_back(std::move(query));
  }
  return queries;
}

Status answer_lines(Engine& engine, Session& session, const CommandLine& line, Terminal& terminal) {
  const bool typed = ::isatty(STDIN_FILENO) != 0;
  const DataSettings& data = engine.settings().data;
  if (typed) terminal.note("Type a text and Enter; Ctrl-D ends.");
  InputLines input(session.services());
  int64_t answered = 0;
  const auto print = [&](const Query& query, const Answer& answer) {
    if (line.has("json"))
      print_json(query, answer, terminal);
    else if (terminal.out_is_terminal())
      print_line(query, answer, terminal);
    else
      print_plain(answer, terminal);
  };
  const auto most = static_cast<size_t>(engine.batch_size());
  while (!session.services().cancelled() && !terminal.out_failed()) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<Query> queries,
                          next_queries(input, data, typed, most, terminal));
    if (queries.empty()) break;
    std::vector<std::string> texts;
    for (const Query& query : queries) texts.push_back(query.example.text);
    const std::vector<Result<Answer>> answers = engine.answer_together(texts);
    for (size_t i = 0; i < queries.size(); ++i) {
      if (!answers[i].ok()) return answers[i].error();
      ++answered;
      print(queries[i], *answers[i]);
    }
  }
  terminal.set_progress("");
  if (session.services().cancelled())
    return Error{
        ErrorCode::kCancelled,
        "stopped after " + human_count(answered) + (answered == 1 ? " answer" : " answers"), ""};
  if (input.failed()) return Error{ErrorCode::kEnvironment, "standard input: cannot be read", ""};
  return {};
}

// A query is answered from the pool alone, so a change of its data would go unnoticed.
void warn_of_newer_data(const Session& session, const Settings& settings, Terminal& terminal) {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::file_time_type encoded = fs::last_write_time(
      pool_manifest_path(settings.store_path, pool_id(session.resolved().json)), failed);
  if (failed) return;
  for (const std::string& path : {settings.data.demonstrations, settings.data.labels})
    if (const auto written = fs::last_write_time(path, failed); !failed && written > encoded)
      terminal.warning(shown_path(path) +
                       " is newer than the pool, which is answered from as it was encoded; if the "
                       "file has changed, run `dbsa-pipe encode` again");
}

Status query(Session& session, const CommandLine& line, Terminal& terminal) {
  set_phase("opening the model");
  terminal.set_progress("opening the model ...");
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, session.open_engine());
  set_phase("opening the pool");
  DBSA_RETURN_IF_ERROR(engine->open_pool());
  terminal.set_progress("");
  set_phase("answering");
  warn_of_newer_data(session, engine->settings(), terminal);
  if (!line.has("TEXT")) return answer_lines(*engine, session, line, terminal);
  const Query query = {{line.text("TEXT"), ""}, nullptr};
  if (query.example.text.empty())
    return Error{ErrorCode::kConfig, "TEXT is empty; give the text to label", ""};
  DBSA_ASSIGN_OR_RETURN(const Answer answer, engine->answer(query.example.text));
  if (line.has("json"))
    print_json(query, answer, terminal);
  else if (terminal.out_is_terminal())
    print_full(answer, terminal);
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
