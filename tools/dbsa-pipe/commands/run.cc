// dbsa-pipe run: encodes the pool, answers every query, writes the result record.
#include <algorithm>
#include <ctime>
#include <filesystem>

#include "commands.h"
#include "commands/checks.h"
#include "commands/encode_view.h"
#include "commands/measure_kv_error.h"
#include "commands/repeat.h"
#include "commands/run_answers.h"
#include "commands/table_output.h"
#include "json_output.h"
#include "options.h"
#include "pipeline/record/journal.h"
#include "pipeline/record/journal_identity.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine run_command_line() {
  CommandLine line(
      {"run", "[PIPELINE]", "Encode a pool and answer every query of a pipeline file.",
       "Encodes the demonstrations that are not in the store yet, answers the "
       "queries from the\nencoded blocks, prints a summary and writes a result record "
       "to output.directory.\nCtrl-C stops cleanly and keeps what is encoded and "
       "answered: the same command continues.\nA query that cannot be answered (its "
       "text is empty, too long, not UTF-8 ...) gets an error in the\nrecord and counts "
       "as wrong; the others are answered, and the exit code is 2. With\n"
       "data.on_error = \"fail\" the first one ends the run.\nThe summary has the expected "
       "calibration error of the answers' probabilities (after decoding.scorer\nand the "
       "temperature) over ten bins of equal mass, beside that of a calibrated model with as many\n"
       "answers. With decoding.abstain_below answers that are less likely are withheld and "
       "counted.\nThe record has precision, recall and F1 of each label and the 20 most frequent "
       "confusions;\n--verbose shows five of these.\n\n"
       "--answers writes a table as well: the columns of data.queries as they are, and behind "
       "them label,\nprobability, margin, runner_up, abstained_label and error, a row for each "
       "query that was "
       "answered or has an\nerror. A name that the file has already becomes answer_label, and so "
       "on.",
       "dbsa-pipe run pipelines/quickstart.toml\n"
       "dbsa-pipe run --record runs/pipeline-20260131T120000Z.json\n"
       "dbsa-pipe run pipeline.toml --set selection.ratio=0.5 --json\n"
       "dbsa-pipe run pipeline.toml --answers answers.csv"});
  line.arguments({"PIPELINE"}, 0);
  add_pipeline_options(line);
  add_model_options(line);
  line.value("output", "DIR", "write the result record here (output.directory)");
  line.value("record", "RECORD",
             "repeat the run of a result record, in place of PIPELINE, and compare its answers");
  line.value("answers", "FILE",
             "write a table of the answers here, too: .csv, .tsv or .jsonl, and .gz");
  line.value("journal", "DIR", "keep answers here as they come (default: output.directory)");
  line.flag("fresh", "answer all queries again, also those that a stopped run has answered");
  line.flag("regroup", "deal demonstrations into blocks as a new store would");
  add_output_options(line);
  return line;
}
namespace {

void print_scores(const Scores& scores, Terminal& terminal) {
  if (scores.count == 0) {
    terminal.out("accuracy     none: the queries carry no labels");
    return;
  }
  std::array<char, 96> text;
  std::snprintf(text.data(), text.size(), "%.4f", scores.accuracy);
  std::string line = "accuracy     " + terminal.out_style(Style::kBold, text.data());
  std::snprintf(text.data(), text.size(), "  (95 %%: %.4f to %.4f; ", scores.accuracy_95.low,
                scores.accuracy_95.high);
  line +=
      text.data() + human_count(scores.correct) + " of " + human_count(scores.count) + " right)";
  terminal.out(line);
  std::snprintf(text.data(), text.size(), "macro-F1     %.4f", scores.macro_f1);
  terminal.out(text.data());
}

// What does not show in the scores of the answers.
void print_items(const RunRecord& record, const RunTotals& totals, Terminal& terminal) {
  if (totals.scores.count > 0 && !record.free_decoding)
    terminal.out("labels       " + human_count(totals.labels_covered) + " of " +
                 human_count(static_cast<int64_t>(record.encode.labels.size())) +
                 " expected by a query");
  const auto queries = static_cast<int64_t>(record.queries.size());
  if (totals.truncated > 0)
    terminal.out("truncated    " + human_count(totals.truncated) + " of " +
                 counted_queries(queries) + " (data.truncate)");
  if (totals.answered < queries)
    terminal.out("errors       " + human_count(queries - totals.answered) + " of " +
                 counted_queries(queries) + ", which count as wrong");
}

// How far the probabilities of the answers can be believed.
void print_confidence(const RunTotals& totals, Terminal& terminal) {
  std::array<char, 160> text;
  if (totals.reliability) {
    const Reliability& measured = *totals.reliability;
    std::snprintf(text.data(), text.size(),
                  "calibration  %.4f expected calibration error; a calibrated model: %.4f",
                  measured.error, measured.error_by_chance);
    terminal.out(text.data());
  }
  if (!totals.abstention) return;
  const Abstention& abstention = *totals.abstention;
  std::string line = "abstained    " + human_count(abstention.abstained) + " of " +
                     counted(totals.answered, "answer");
  std::snprintf(text.data(), text.size(), ", below %g", abstention.below);
  line += text.data();
  if (abstention.rest.count > 0) {
    std::snprintf(text.data(), text.size(), "; accuracy of the rest %.4f (95 %%: %.4f to %.4f)",
                  abstention.rest.accuracy, abstention.rest.accuracy_95.low,
                  abstention.rest.accuracy_95.high);
    line += text.data();
  }
  terminal.out(line);
}

void print_text_scores(const TextScores& scores, Terminal& terminal) {
  std::array<char, 64> text;
  const auto row = [&](const char* name, double score) {
    std::snprintf(text.data(), text.size(), "%-13s%.4f", name, score);
    terminal.out(text.data());
  };
  row("exact match", scores.exact_match);
  row("ROUGE-L", scores.rouge_l);
  row("chrF", scores.chrf);
}

// The largest confusions.
void print_confusions(const ConfusionMatrix& confusion, Terminal& terminal) {
  constexpr size_t kShown = 5;
  const std::vector<Confusion> found = confusion.confusions();
  if (found.empty()) return;
  terminal.out("");
  Table table({{"expected"}, {"answered"}, {"queries", Table::Align::kRight}});
  for (size_t i = 0; i < std::min(found.size(), kShown); ++i)
    table.add({found[i].expected, found[i].given.empty() ? "(no answer)" : found[i].given,
               human_count(found[i].count)});
  table.print(terminal);
}

void print_kv_error(const KvError& error, Terminal& terminal) {
  std::array<char, 96> text = {};
  if (error.log_probabilities > 0)
    std::snprintf(text.data(), text.size(), "; log-probabilities by %.4f in the mean, %.4f at most",
                  error.mean, error.max);
  terminal.out("int8         changed " + human_count(error.labels_changed) + " of " +
               counted(error.queries, "label") + text.data());
}

void print_summary(const RunRecord& record, const RunTotals& totals, const std::string& path,
                   Terminal& terminal) {
  terminal.out("");
  print_scores(totals.scores, terminal);
  if (totals.text_scores) print_text_scores(*totals.text_scores, terminal);
  print_confidence(totals, terminal);
  print_items(record, totals, terminal);
  terminal.out("setup        " + human_seconds(record.encode.setup_seconds) + "  (" +
               counted(totals.blocks_encoded, "block") + " encoded, " +
               human_count(totals.blocks_reused) + " reused)");
  terminal.out("KV           " + human_bytes(record.encode.kv_bytes));
  if (totals.kv_loaded.bytes < totals.kv_loaded.all_layers_bytes)
    terminal.out("KV loaded    " + human_bytes(totals.kv_loaded.bytes) + " of " +
                 human_bytes(totals.kv_loaded.all_layers_bytes) +
                 " of the selected blocks; the rest lies beyond the layers' windows");
  if (record.kv_error) print_kv_error(*record.kv_error, terminal);
  terminal.out("peak memory  " + human_bytes(record.peak_memory_bytes));
  if (totals.blocks_rebuilt > 0)
    terminal.out("rebuilt      " + counted(totals.blocks_rebuilt, "damaged or missing block"));
  terminal.out("");
  Table table({{"per request"}, {"p50", Table::Align::kRight}, {"p95", Table::Align::kRight}});
  const auto row = [&](const std::string& name, const Percentiles& seconds) {
    table.add({name, human_seconds(seconds.p50), human_seconds(seconds.p95)});
  };
  row("total", totals.request);
  for (size_t step = 0; step < kAnswerSteps.size(); ++step)
    if (step != static_cast<size_t>(AnswerStep::kRebuild) || totals.blocks_rebuilt > 0)
      row("  " + std::string(kAnswerSteps[step]), totals.steps[step]);
  table.print(terminal);
  terminal.out("");
  terminal.out("record       " + shown_path(path));
}

// Measures what int8 changes and adds it to the record that is written by now: measuring takes
// long, and what fails in it is no fault of the answers. Only kCancelled is an error.
Status add_kv_error(Session& session, Pool pool, const std::string& path, const RunTotals& totals,
                    Terminal& terminal, RunRecord& record) {
  const Result<KvError> error = measure_kv_error(session, std::move(pool), record, terminal);
  if (error.ok()) {
    record.kv_error = *error;
    return rewrite_record(path, record_to_json(record, totals));
  }
  if (error.error().code == ErrorCode::kCancelled)
    return Error{ErrorCode::kCancelled,
                 "stopped while measuring what int8 changes; the record is written without it", ""};
  terminal.warning("what int8 changes was not measured: " + error.error().message +
                   "; the record says null. Set model.kv_error_queries = 0 to skip this");
  return {};
}

// Of what is doubtful before anything is computed.
void warn_of(const Session& session, const Settings& settings, const CheckedData& data,
             const DataValidity& validity, const Tokenizer& tokenizer, Terminal& terminal) {
  for (const std::string& idle : find_idle_keys(session.resolved())) terminal.warning(idle);
  for (const std::string& doubt :
       data_warnings(session.resolved(), settings, data, validity, tokenizer))
    terminal.warning(doubt);
}

// "data.seed: ...", for "<file>:17:1: data.seed: ...": runs of other files say the same.
std::string without_place(const std::string& warning, const std::string& file) {
  if (!warning.starts_with(file + ":")) return warning;
  size_t at = file.size();
  for (int number = 0; number < 2; ++number) {
    const size_t end = warning.find_first_not_of("0123456789", at + 1);
    if (warning[at] != ':' || end == at + 1 || end == warning.npos) return warning;
    at = end;
  }
  return warning.compare(at, 2, ": ") == 0 ? warning.substr(at + 2) : warning;
}

// The table that --answers asks for, and what it is written from: data.queries, which is read here
// for the answers, too.
class AnswersFile {
 public:
  static Result<AnswersFile> open(const CommandLine& line, const DataSettings& data) {
    DBSA_ASSIGN_OR_RETURN(TableOutput output,
                          table_output("--answers", line.text("answers"), "", data));
    DBSA_ASSIGN_OR_RETURN(InputTable input,
                          InputTable::load({data.queries, data.text, data.label_field,
                                            LabelPolicy::kOptional, data.names},
                                           data.delimiter));
    return AnswersFile(std::move(output), std::move(input), data.names);
  }

  Status write(std::span<const QueryRecord> queries, Terminal& terminal) const {
    const AnswerTable table(input_, output_.format);
    note_names(table, terminal);
    return write_table(output_, input_, table, queries, names_);
  }
  const std::string& path() const { return output_.path; }
  const InputTable& input() const { return input_; }

 private:
  AnswersFile(TableOutput output, InputTable input, LabelNames names)
      : output_(std::move(output)), input_(std::move(input)), names_(std::move(names)) {}

  TableOutput output_;
  InputTable input_;
  LabelNames names_;
};

Status run(Session& session, const CommandLine& line, Terminal& terminal) {
  RunRecord record;
  record.started = std::time(nullptr);
  const std::optional<EarlierRecord>& earlier = session.earlier();
  DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(session.resolved().json));
  DBSA_RETURN_IF_ERROR(check_queries_given(settings));
  DBSA_RETURN_IF_ERROR(check_folders(session.resolved(), Written::kStoreAndRecord));
  log_table(settings.data, settings.data.queries, session.services());
  log_table(settings.data, settings.data.demonstrations, session.services());
  std::optional<AnswersFile> answers_file;
  if (line.has("answers")) {
    Result<AnswersFile> opened = AnswersFile::open(line, settings.data);
    if (!opened.ok()) {
      if (auto checked = check_data(settings); !checked.ok()) return std::move(checked).error();
      return std::move(opened).error();
    }
    answers_file = std::move(opened).value();
  }
  // Before hours of encoding.
  DBSA_ASSIGN_OR_RETURN(CheckedData data,
                        check_data(settings, answers_file ? &answers_file->input() : nullptr));
  if (earlier) DBSA_RETURN_IF_ERROR(check_repeatable(session, *earlier, line, terminal));
  if (settings.data.on_error == OnError::kFail) DBSA_RETURN_IF_ERROR(query_faults(settings, data));
  record.validity = check_validity(data.demonstrations(), data.queries, data.labels());
  set_phase("opening the model");
  terminal.set_progress("opening the model ...");
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Pipeline> pipeline, session.open_pipeline());
  DBSA_RETURN_IF_ERROR(check_record_directory(settings.output_directory));
  warn_of(session, pipeline->settings(), data, record.validity, pipeline->tokenizer(), terminal);
  std::vector<Row> queries = std::move(data.queries);

  set_phase("encoding the pool");
  terminal.set_progress("reading the pool ...");
  EncodeView view(terminal);
  Result<EncodeReport> encoded = pipeline->encode(data.pool, line.has("regroup"), view.observer());
  data.pool = {};
  if (!encoded.ok() && encoded.error().code == ErrorCode::kCancelled)
    return Error{ErrorCode::kCancelled,
                 view.stopped_message(host::store_keys(session.resolved()).keeps()), ""};
  if (!encoded.ok()) return std::move(encoded).error();
  record.encode = std::move(encoded).value();
  if (earlier) DBSA_RETURN_IF_ERROR(check_draw(pipeline->draw(), *earlier, line, terminal));
  if (!record.encode.pool_kept.ok())
    terminal.warning(record.encode.pool_kept.error().message +
                     "; the queries are answered, but `dbsa-pipe query` will not find this pool");
  record.free_decoding = settings.decoding.method == DecodingMethod::kFree;
  view.finish(record.encode);

  record.program_version = kProgramVersion;
  record.pipeline_path = session.document().name();
  record.config = session.resolved().json;
  DBSA_ASSIGN_OR_RETURN(record.plugins, session.plugin_records());
  DBSA_ASSIGN_OR_RETURN(record.identity, pipeline->identity(data.query_rows));
  record.outside_group = keys_outside_groups(session.resolved());
  record.draw = pipeline->draw();
  record.model = pipeline->model_info();
  set_phase("answering queries");
  AnswerJob job;
  job.name = settings.data.queries;
  job.journal.identity = journal_identity(record, queries);
  job.journal.path =
      journal_path(line.has("journal") ? line.text("journal") : settings.output_directory,
                   record.pipeline_path, job.journal.identity);
  job.journal.fresh = line.has("fresh");
  job.queries = std::move(queries);
  job.lost = "no result record is written";
  DBSA_ASSIGN_OR_RETURN(RunAnswers answers,
                        answer_queries(*pipeline, session, std::move(job), terminal, record));
  if (answers_file) {
    set_phase("writing the answers");
    DBSA_RETURN_IF_ERROR(answers_file->write(record.queries, terminal));
  }

  set_phase("writing the result record");
  record.machine = machine_info();
  record.threads = session.services().thread_count();
  record.peak_memory_bytes = peak_memory_bytes();
  for (const std::string& warning : terminal.warnings())
    record.warnings.push_back(without_place(warning, record.pipeline_path));
  const RunTotals totals = run_totals(record);
  DBSA_ASSIGN_OR_RETURN(const std::string path,
                        write_record(settings.output_directory, record.pipeline_path,
                                     record.started, record_to_json(record, totals)));
  note_record(path);
  set_phase("showing the results");
  remove_journal(answers, terminal);
  Status measured;
  if (wants_kv_error(settings, record)) {
    set_phase("measuring what int8 changes");
    Pool pool = pipeline->pool();
    pipeline.reset();  // another one follows
    measured = add_kv_error(session, std::move(pool), path, totals, terminal, record);
  }
  Comparison comparison;
  if (earlier) {
    DBSA_ASSIGN_OR_RETURN(comparison, compare_with(*earlier, record));
  }
  if (line.has("json")) {
    nlohmann::ordered_json out = {{"record", path},
                                  {"encode", encode_to_json(record.encode)},
                                  {"totals", totals_to_json(record, totals)}};
    if (answers_file) out["answers"] = answers_file->path();
    if (earlier)
      out["repeated"] = {
          {"record", earlier->path}, {"answers", comparison.answers}, {"equal", comparison.equal}};
    print_document("run", std::move(out), terminal);
  } else {
    print_summary(record, totals, path, terminal);
    if (line.has("verbose")) print_confusions(totals.confusion, terminal);
    if (answers_file) terminal.out("answers      " + shown_path(answers_file->path()));
    if (earlier)
      terminal.out("repeated     " + human_count(comparison.equal) + " of " +
                   counted(comparison.answers, "answer") + " as in " + shown_path(earlier->path));
  }
  return measured.ok() ? answers.items : measured;
}

}  // namespace

int run_command(Words words, Terminal& terminal) {
  CommandLine line = run_command_line();
  return with_session(line, words, terminal, run);
}

}  // namespace dbsa::cli
