// One result record, as far as a report needs it.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "pipeline/identity/identity.h"
#include "pipeline/record/record.h"
#include "report/fields.h"
#include "report/input.h"

namespace dbsa {
namespace {

using nlohmann::json;

constexpr const char* kRecordFile = "a result record of `dbsa-pipe run`";

// Totals that are read by name, or that say nothing about the quality of answers.
const std::set<std::string, std::less<>>& known_totals() {
  static const std::set<std::string, std::less<>> names = {
      "queries",           "labelled",      "correct",        "accuracy",       "accuracy_95",
      "macro_f1",          "setup_seconds", "answer_seconds", "kv_bytes",       "blocks_encoded",
      "peak_memory_bytes", "blocks_reused", "blocks_rebuilt", "blocks_repaired"};
  return names;
}

// The last parts of a path: "quickstart/model".
std::string path_end(const std::string& path, int parts) {
  const std::filesystem::path whole(path);
  std::string end = whole.filename().string();
  if (parts > 1 && whole.parent_path().has_filename())
    end = path_end(whole.parent_path().string(), parts - 1) + "/" + end;
  return end;
}

// Whether the file is a record at all, and of a version that is known.
bool is_record(const ReportFields& fields) {
  const json* name = fields.find("/program/name");
  const json* version = fields.find("/schema_version");
  if (name == nullptr || *name != "dbsa-pipe" || version == nullptr ||
      !version->is_number_integer()) {
    fields.fault("", std::string("expected ") + kRecordFile +
                         ", got other JSON: its program.name is not \"dbsa-pipe\", or it has no "
                         "schema_version");
    return false;
  }
  if (*version == kRecordSchemaVersion) return true;
  fields.fault("/schema_version", "expected " + std::to_string(kRecordSchemaVersion) + ", got " +
                                      version->dump() +
                                      "; read it with the dbsa-pipe that wrote it, or a newer one");
  return false;
}

void add_score(const std::string& name, const json& value, std::map<std::string, double>& scores) {
  const json* number = &value;
  if (value.is_object() && value.contains("mean")) number = &value.at("mean");
  if (number->is_number() && std::fabs(number->get<double>()) <= kMostNumber)
    scores[name] = number->get<double>();
}

// Every further number of the totals is a score; so is what lies in totals.scores.
void read_scores(const json& totals, std::map<std::string, double>& scores) {
  for (const auto& [name, value] : totals.items())
    if (value.is_number() && !known_totals().contains(name)) add_score(name, value, scores);
  const auto own = totals.find("scores");
  if (own == totals.end() || !own->is_object()) return;
  for (const auto& [name, value] : own->items()) add_score(name, value, scores);
}

void read_totals(const ReportFields& fields, ReportRun& run) {
  run.queries = fields.integer("/totals/queries");
  run.accuracy = fields.share_or_null("/totals/accuracy");
  run.macro_f1 = fields.share_or_null("/totals/macro_f1");
  run.request_mean = fields.number("/totals/request_seconds/mean");
  run.request_p50 = fields.number("/totals/request_seconds/p50");
  run.request_p95 = fields.number("/totals/request_seconds/p95");
  for (size_t stage = 0; stage < kAnswerSteps.size(); ++stage) {
    std::string path = std::string("/totals/stage_seconds/") + kAnswerSteps[stage];
    // Records of earlier versions call rebuilding so.
    const std::string former = "/totals/stage_seconds/repair";
    if (stage == static_cast<size_t>(AnswerStep::kRebuild) && fields.find(former)) path = former;
    run.stages[stage] = fields.number(path + "/mean");
  }
  run.setup = fields.number("/totals/setup_seconds");
  run.reused = fields.integer("/totals/blocks_reused") > 0;
  run.kv_bytes = fields.number("/totals/kv_bytes");
  run.peak_memory_bytes = fields.number("/totals/peak_memory_bytes");
  if (const json* totals = fields.find("/totals")) read_scores(*totals, run.scores);
}

void read_description(const ReportFields& fields, ReportRun& run) {
  run.pipeline = fields.text("/pipeline");
  run.program_version = fields.text("/program/version");
  run.started_at = fields.text("/started_at");
  run.data_seed = static_cast<uint64_t>(fields.integer("/seeds/data"));
  run.grouper_seed = static_cast<uint64_t>(fields.integer("/seeds/block_grouper"));
  const std::string model = fields.text("/model/path");
  run.model = path_end(model, path_end(model, 1) == "model" ? 2 : 1);
  run.model_parameters = fields.integer("/model/parameters");
  run.cpu = fields.text("/machine/cpu");
  run.os = fields.text("/machine/os");
  run.threads = fields.integer("/machine/threads");
  run.memory_bytes = static_cast<uint64_t>(fields.integer("/machine/memory_bytes"));
  run.dataset = path_end(fields.text("/config/data/demonstrations"), 2);
  run.demonstrations = fields.number("/encode/demonstrations");
  run.blocks = fields.number("/encode/blocks");
  run.tokens = fields.number("/encode/tokens");
}

bool is_error(const json& query) { return query.is_object() && query.contains("error"); }

uint64_t text_number(const std::string& text, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

void read_answer(const ReportFields& fields, const std::string& at, ReportAnswer& answer) {
  const json* correct = fields.find(at + "/correct");
  if (correct != nullptr && correct->is_boolean())
    answer.correct = correct->get<bool>();
  else if (correct != nullptr && !correct->is_null())
    fields.wrong(at + "/correct", "true, false or null");
  answer.seconds = fields.number(at + "/seconds/total");
}

std::optional<double> read_probability(const ReportFields& fields, const std::string& at) {
  const json* found = fields.find(at + "/log_probability");
  if (found == nullptr || found->is_null()) return {};
  constexpr double kMostLogarithm = 1e-6;  // as far above 0 as rounding may take it
  if (found->is_number() && found->get<double>() <= kMostLogarithm)
    return std::min(1.0, std::exp(found->get<double>()));
  fields.wrong(at + "/log_probability", "a number of at most 0, or null");
  return {};
}

// A query that could not be answered counts as wrong where the totals count it.
void count_errors(const ReportFields& fields, ReportRun& run) {
  const auto right_or_wrong = std::count_if(run.answers.begin(), run.answers.end(),
                                            [](const auto& a) { return a.correct.has_value(); });
  if (fields.integer("/totals/labelled") <= right_or_wrong) return;
  const json& queries = fields.array("/queries");
  for (size_t i = 0; i < queries.size(); ++i)
    if (is_error(queries[i]) && queries[i].contains("expected") &&
        queries[i].at("expected").is_string())
      run.answers[i].correct = false;
}

// The label of an answer, withheld or given; "" where there is none.
std::string read_given(const ReportFields& fields, const std::string& at) {
  if (fields.find(at + "/error") != nullptr) return "";
  for (const char* name : {"/label", "/abstained_label"}) {
    const json* found = fields.find(at + name);
    if (found != nullptr && !found->is_null()) return fields.text(at + name);
  }
  return "";
}

// As the run has counted them.
void read_confusion(const ReportFields& fields, ReportRun& run) {
  for (size_t i = 0; i < run.answers.size(); ++i) {
    if (!run.answers[i].correct) continue;
    const std::string at = "/queries/" + std::to_string(i);
    const std::string given = read_given(fields, at);
    const json* expected = fields.find(at + "/expected");
    // Of several right labels a record has the first.
    if (*run.answers[i].correct && !given.empty())
      run.confusion.add(given, given);
    else if (expected != nullptr && expected->is_string() && *expected != "")
      run.confusion.add(expected->get<std::string>(), given);
  }
}

// Also a hash of what was asked.
std::string read_answers(const ReportFields& fields, ReportRun& run) {
  const json& queries = fields.array("/queries");
  const json* method = fields.find("/config/decoding/method");
  const bool is_free = method != nullptr && *method == "free";
  std::vector<std::string> asked;
  std::map<std::pair<std::string, std::string>, uint64_t> occurrences;  // text, expected label
  int64_t answered = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::string at = "/queries/" + std::to_string(i);
    const std::string text = fields.text(at + "/text");
    const json* found = fields.find(at + "/expected");
    const std::string expected =
        found != nullptr && found->is_string() ? found->get<std::string>() : "";
    asked.insert(asked.end(), {text, expected});
    ReportAnswer& answer = run.answers.emplace_back();
    // A query stands in another line of an edited or converted file.
    answer.text = text_number(text);
    answer.query = text_number(expected, answer.text + occurrences[{text, expected}]++);
    if (is_error(queries[i])) continue;
    read_answer(fields, at, answer);
    if (!is_free) answer.probability = read_probability(fields, at);
    run.selected_tokens += fields.number(at + "/tokens/selected");
    ++answered;
  }
  if (answered > 0) run.selected_tokens /= static_cast<double>(answered);
  run.unanswered = static_cast<int64_t>(queries.size()) - answered;
  count_errors(fields, run);
  if (!is_free) read_confusion(fields, run);
  return hash_list(asked);
}

std::optional<Validity> read_validity(const ReportFields& fields) {
  const json* found = fields.find("/validity");
  if (found == nullptr || found->is_null()) return {};
  if (!found->is_object()) fields.wrong("/validity", "an object or null");
  Validity validity;
  const auto count = [&](const char* name) {
    const std::string at = std::string("/validity/") + name;
    return fields.find(at) == nullptr ? 0 : fields.integer(at);
  };
  validity.queries_in_demonstrations = count("queries_in_demonstrations");
  validity.texts_with_two_labels = count("texts_with_two_labels");
  validity.duplicates = count("duplicates");
  validity.near_equal_labels = count("near_equal_labels");
  validity.duplicate_queries = count("duplicate_queries");
  validity.queries_with_two_labels = count("queries_with_two_labels");
  validity.near_expected_labels = count("near_expected_labels");
  // A warning says it otherwise.
  if (fields.find("/warnings") == nullptr &&
      fields.find("/totals/items/labels_covered") != nullptr) {
    validity.labels_covered = fields.integer("/totals/items/labels_covered");
    validity.labels = static_cast<int64_t>(fields.array("/encode/label_names").size());
  }
  return validity;
}

std::vector<std::string> read_texts(const ReportFields& fields, const std::string& at) {
  std::vector<std::string> texts;
  if (fields.find(at) == nullptr) return texts;
  for (size_t i = 0; i < fields.array(at).size(); ++i)
    texts.push_back(fields.text(at + "/" + std::to_string(i)));
  return texts;
}

std::vector<std::string> read_warnings(const ReportFields& fields) {
  std::vector<std::string> warnings = read_texts(fields, "/warnings");
  for (const std::string& counted : read_texts(fields, "/validity/warnings"))
    std::erase(warnings, counted);
  return warnings;
}

}  // namespace

std::optional<ReportRun> parse_record(const std::string& file, std::string_view text,
                                      std::vector<std::string>& faults) {
  const std::optional<json> root = parse_report_json(file, text, kRecordFile, faults);
  if (!root) return {};
  const size_t before = faults.size();
  const ReportFields fields(*root, file, "", faults);
  if (!is_record(fields)) return {};
  ReportRun run;
  run.path = file;
  read_totals(fields, run);
  read_description(fields, run);
  read_identity(fields, read_answers(fields, run), run.identity);
  run.validity = read_validity(fields);
  run.warnings = read_warnings(fields);
  const json* config = fields.find("/config");
  if (config != nullptr && config->is_object()) run.config = *config;
  if (faults.size() > before) return {};
  return run;
}

}  // namespace dbsa
