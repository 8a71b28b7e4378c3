#include "pipeline/record/record.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <string_view>

#include "config/atomic_file.h"
#include "config/file_calls.h"
#include "icl/intervals.h"
#include "icl/label_coverage.h"

namespace dbsa {
namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json label_to_json(const std::optional<AnswerLabel>& label) {
  if (!label) return nullptr;
  return {{"label", label->text}, {"log_probability", number_or_null(label->log_probability)}};
}

// Six digits after the point: what arithmetic of 32 bits means.
ordered_json scores_to_json(const std::vector<double>& scores) {
  if (scores.empty()) return nullptr;
  ordered_json out = ordered_json::array();
  for (const double score : scores) out.push_back(number_or_null(std::round(score * 1e6) / 1e6));
  return out;
}

ordered_json identity_to_json(const RunIdentity& identity, const std::string& draw,
                              const KeyNames& outside_group) {
  return {{"run", identity.run},
          {"group", identity.group},
          {"draw", draw},
          {"outside_group", outside_group},
          {"inputs", to_json(identity.inputs)},
          {"stages", identity.stages}};
}

ordered_json percentiles_to_json(const Percentiles& seconds) {
  return {{"mean", seconds.mean}, {"p50", seconds.p50}, {"p95", seconds.p95}};
}

ordered_json plugin_to_json(const PluginRecord& plugin) {
  return {{"stage", plugin.stage},     {"id", plugin.id},
          {"version", plugin.version}, {"revision", plugin.revision},
          {"library", plugin.library}, {"library_hash", plugin.library_hash}};
}

ordered_json kv_loaded_to_json(const KvLoaded& loaded) {
  return {{"bytes", loaded.bytes}, {"all_layers_bytes", loaded.all_layers_bytes}};
}

ordered_json text_scores_to_json(const std::optional<TextScores>& scores) {
  if (!scores) return nullptr;
  return {
      {"exact_match", scores->exact_match}, {"rouge_l", scores->rouge_l}, {"chrf", scores->chrf}};
}

ordered_json query_to_json(const QueryRecord& record, bool free_decoding) {
  ordered_json out = {{"line", record.query.line}, {"text", record.query.text}};
  const bool labelled = !record.query.label.empty();
  out["expected"] = labelled ? ordered_json(record.query.label) : ordered_json(nullptr);
  if (record.error) {
    out["correct"] = labelled ? ordered_json(false) : ordered_json(nullptr);
    out["error"] = item_error_to_json(*record.error);
    return out;
  }
  const std::string& answer = record.answer.label.text;
  out["correct"] = labelled ? ordered_json(is_right(record.query, answer)) : ordered_json(nullptr);
  std::optional<TextScores> scores;
  if (free_decoding && labelled) scores = score_text(answer, all_labels(record.query));
  out["text_scores"] = text_scores_to_json(scores);
  out.update(answer_to_json(record.answer));
  return out;
}

ordered_json model_to_json(const ModelInfo& model) {
  return {{"path", model.path},
          {"family", model.family},
          {"parameters", model.parameters},
          {"fingerprint", model.fingerprint},
          {"tokenizer", model.tokenizer},
          {"compute", model.compute},
          {"kv_dtype", model.kv_dtype},
          {"backend", model.backend}};
}

ordered_json machine_to_json(const MachineInfo& machine, int threads) {
  return {
      {"cpu", machine.cpu},      {"architecture", machine.architecture}, {"cores", machine.cores},
      {"threads", threads},      {"memory_bytes", machine.memory_bytes}, {"os", machine.os},
      {"kernel", machine.kernel}};
}

Percentiles percentiles_of(const std::vector<QueryRecord>& queries,
                           const std::function<double(const AnswerTimings&)>& seconds) {
  std::vector<double> values;
  double sum = 0;
  for (const QueryRecord& query : queries) {
    if (query.error) continue;
    values.push_back(seconds(query.answer.seconds));
    sum += values.back();
  }
  if (values.empty()) return {};
  return {sum / static_cast<double>(values.size()), percentile(values, 50), percentile(values, 95)};
}

ordered_json kv_error_to_json(const std::optional<KvError>& error) {
  if (!error) return nullptr;
  const bool compared = error->log_probabilities > 0;
  return {{"queries", error->queries},
          {"labels_changed", error->labels_changed},
          {"log_probabilities", error->log_probabilities},
          {"mean_change", compared ? ordered_json(error->mean) : ordered_json(nullptr)},
          {"max_change", compared ? ordered_json(error->max) : ordered_json(nullptr)}};
}

// As a report's: a text that several queries have says no more about other texts than one.
Interval accuracy_interval_of(const RunRecord& record, const Scores& scores) {
  std::map<std::string_view, LayoutCell> texts;
  for (const QueryRecord& query : record.queries) {
    if (query.query.label.empty()) continue;
    LayoutCell& cell =
        texts.try_emplace(query.query.text, LayoutCell{0, texts.size(), 0, 0}).first->second;
    cell.weight += 1;
    cell.value += !query.error && is_right(query.query, query.answer.label.text) ? 1 : 0;
  }
  if (static_cast<int64_t>(texts.size()) == scores.count) return scores.accuracy_95;
  std::vector<LayoutCell> cells;
  for (auto& [text, cell] : texts) {
    cell.value /= cell.weight;
    cells.push_back(cell);
  }
  return accuracy_interval(scores.accuracy, cells)->interval;
}

// What is known of the answers' probabilities.
std::vector<Confidence> confidences(const RunRecord& record) {
  std::vector<Confidence> answers;
  if (record.free_decoding) return answers;
  for (const QueryRecord& query : record.queries)
    if (!query.error && !query.query.label.empty())
      answers.push_back({std::exp(query.answer.label.log_probability),
                         is_right(query.query, query.answer.label.text)});
  return answers;
}

std::optional<Abstention> abstention_of(const RunRecord& record) {
  const auto decoding = record.config.find("decoding");
  const double below = decoding == record.config.end() ? 0 : decoding->value("abstain_below", 0.0);
  if (below == 0) return {};
  Abstention found{below, 0, 0, {}};
  int64_t answered = 0;
  for (const QueryRecord& query : record.queries) {
    if (query.error) continue;
    ++answered;
    if (query.answer.abstained) {
      ++found.abstained;
    } else if (!query.query.label.empty()) {
      ++found.rest.count;
      found.rest.correct += is_right(query.query, query.answer.label.text) ? 1 : 0;
    }
  }
  if (answered > 0)
    found.coverage =
        static_cast<double>(answered - found.abstained) / static_cast<double>(answered);
  if (found.rest.count > 0)
    found.rest.accuracy =
        static_cast<double>(found.rest.correct) / static_cast<double>(found.rest.count);
  found.rest.accuracy_95 = wilson_interval(found.rest.correct, found.rest.count);
  return found;
}

ordered_json reliability_to_json(const std::optional<Reliability>& reliability) {
  if (!reliability) return nullptr;
  ordered_json bins = ordered_json::array();
  for (const ReliabilityBin& bin : reliability->bins)
    bins.push_back({{"answers", bin.answers},
                    {"low", bin.low},
                    {"high", bin.high},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy}});
  return {{"answers", reliability->answers},
          {"error", reliability->error},
          {"error_by_chance", reliability->error_by_chance},
          {"bins", std::move(bins)}};
}

ordered_json risk_coverage_to_json(const std::vector<CoveragePoint>& points) {
  if (points.empty()) return nullptr;
  ordered_json out = ordered_json::array();
  for (const CoveragePoint& point : points)
    out.push_back({{"coverage", point.coverage},
                   {"answers", point.answers},
                   {"least_probability", point.least_probability},
                   {"accuracy", point.accuracy},
                   {"risk", 1 - point.accuracy}});
  return out;
}

ordered_json labels_to_json(const ConfusionMatrix& confusion) {
  if (confusion.empty()) return nullptr;
  return to_json(confusion.labels());
}

ordered_json confusions_to_json(const ConfusionMatrix& confusion) {
  if (confusion.empty()) return nullptr;
  std::vector<Confusion> largest = confusion.confusions();
  if (largest.size() > kRecordedConfusions) largest.resize(kRecordedConfusions);
  return to_json(largest);
}

ordered_json abstention_to_json(const std::optional<Abstention>& abstention) {
  if (!abstention) return nullptr;
  const Scores& rest = abstention->rest;
  const bool scored = rest.count > 0;
  return {
      {"below", abstention->below},
      {"abstained", abstention->abstained},
      {"coverage", abstention->coverage},
      {"labelled", rest.count},
      {"correct", scored ? ordered_json(rest.correct) : ordered_json(nullptr)},
      {"accuracy", scored ? ordered_json(rest.accuracy) : ordered_json(nullptr)},
      {"accuracy_95", scored ? ordered_json::array({rest.accuracy_95.low, rest.accuracy_95.high})
                             : ordered_json(nullptr)}};
}

std::string formatted(std::time_t time, const char* pattern) {
  std::tm parts = {};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text;
  return std::string(text.data(), std::strftime(text.data(), text.size(), pattern, &parts));
}

std::string record_text(const ordered_json& record) {
  return record.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// An error of the folder that records go to.
Error of_directory(Error error) {
  error.config_pointer = "/output/directory";
  return error;
}

}  // namespace

RunTotals run_totals(const RunRecord& record) {
  RunTotals totals;
  std::vector<std::string> expected, predicted;
  CorpusTextScores texts;
  LabelCoverage coverage(record.encode.labels);
  for (const QueryRecord& query : record.queries) {
    coverage.add(query.query);
    totals.answered += query.error ? 0 : 1;
    totals.truncated += query.answer.cut_tokens > 0 ? 1 : 0;
    const std::string& answer = query.answer.label.text;
    expected.push_back(is_right(query.query, answer) ? answer : query.query.label);
    predicted.push_back(answer);
    if (!record.free_decoding && !query.query.label.empty())
      totals.confusion.add(expected.back(), answer);
    if (record.free_decoding && !query.query.label.empty())
      texts.add(answer, all_labels(query.query));
    totals.blocks_rebuilt += query.answer.blocks_rebuilt;
    totals.kv_loaded.bytes += query.answer.kv_loaded.bytes;
    totals.kv_loaded.all_layers_bytes += query.answer.kv_loaded.all_layers_bytes;
  }
  totals.unknown_labels = coverage.unknown();
  totals.labels_covered = coverage.covered();
  totals.scores = score_answers(expected, predicted);
  totals.scores.accuracy_95 = accuracy_interval_of(record, totals.scores);
  if (texts.count() > 0) totals.text_scores = texts.scores();
  const std::vector<Confidence> answers = confidences(record);
  totals.reliability = measure_reliability(answers);
  totals.risk_coverage = risk_coverage(answers);
  totals.abstention = abstention_of(record);
  const auto& queries = record.queries;
  totals.request = percentiles_of(queries, [](const AnswerTimings& t) { return t.total(); });
  for (size_t step = 0; step < kAnswerSteps.size(); ++step)
    totals.steps[step] =
        percentiles_of(queries, [step](const AnswerTimings& t) { return t.steps[step]; });
  totals.blocks_encoded = record.encode.blocks_encoded;
  if (record.encode.kv_bytes > 0)  // else no stored block is used
    totals.blocks_reused =
        std::max<int64_t>(0, record.encode.estimate.blocks - record.encode.blocks_encoded);
  totals.blocks_rebuilt += record.encode.blocks_rebuilt;
  return totals;
}

ordered_json change_to_json(const std::optional<DemonstrationChange>& change) {
  if (!change) return nullptr;
  return {{"edited", change->edited_lines.size()},
          {"edited_lines", change->edited_lines},
          {"added", change->added},
          {"removed", change->removed}};
}

ordered_json reasons_to_json(EncodeReasons reasons) {
  ordered_json out;
  for (const auto& [name, count] : named_counts(reasons)) out[name] = *count;
  return out;
}

ordered_json history_to_json(const std::optional<PoolHistory>& history) {
  if (!history) return nullptr;
  ordered_json retired = ordered_json::array();
  for (const PoolBlock& block : history->retired)
    retired.push_back({{"key", block.key.hex()}, {"tokens", block.token_ids.size()}});
  return {{"edits", history->edits}, {"hash", history->hash}, {"retired", std::move(retired)}};
}

ordered_json encode_to_json(const EncodeReport& report) {
  const EncodeEstimate& estimate = report.estimate;
  return {{"pool_id", report.pool_id},
          {"manifest", report.pool_location},
          {"demonstrations", estimate.demonstrations},
          {"blocks", estimate.blocks},
          {"tokens", estimate.tokens},
          {"kv_bytes", report.kv_bytes},
          {"blocks_encoded", report.blocks_encoded},
          {"tokens_encoded", report.tokens_encoded},
          {"bytes_stored", report.bytes_stored},
          {"blocks_rebuilt", report.blocks_rebuilt},
          {"index_reused", report.index_reused},
          {"labels", report.labels.size()},
          {"demonstrations_hash", report.demonstrations_hash},
          {"blocks_hash", report.blocks_hash},
          {"dealt_at_once", report.dealt_at_once},
          {"edit", change_to_json(estimate.change)},
          {"encoded_because", reasons_to_json(estimate.reasons)},
          {"history", history_to_json(report.history)},
          {"calibration", calibration_to_json(report)},
          {"setup_seconds", report.setup_seconds},
          {"encode_seconds", report.encode_seconds}};
}

ordered_json calibration_to_json(const EncodeReport& report) {
  if (!report.calibration) return nullptr;
  const Calibration& made = *report.calibration;
  return {{"temperature", made.temperature},    {"curve", curve_to_json(made.curve)},
          {"held_out", made.held_out},          {"answered", made.answered},
          {"error_before", made.error_before},  {"error_after", made.error_after},
          {"reused", report.calibration_reused}};
}

ordered_json validity_to_json(const DataValidity& validity) {
  return {{"queries_in_demonstrations", validity.queries_in_demonstrations.count},
          {"texts_with_two_labels", validity.texts_with_two_labels.count},
          {"duplicates", validity.duplicates.count},
          {"near_equal_labels", validity.near_equal_labels.count},
          {"duplicate_queries", validity.duplicate_queries.count},
          {"queries_with_two_labels", validity.queries_with_two_labels.count},
          {"near_expected_labels", validity.near_expected_labels.count},
          {"warnings", warnings(validity)}};
}

ordered_json item_error_to_json(const ItemError& error) {
  return {{"code", item_fault_name(error.fault)}, {"message", error.message}};
}

ordered_json answer_to_json(const Answer& answer) {
  ordered_json blocks = ordered_json::array();
  for (const AnswerBlock& block : answer.blocks)
    blocks.push_back({{"block", block.block},
                      {"score", block.score ? number_or_null(*block.score) : ordered_json(nullptr)},
                      {"start", block.start},
                      {"tokens", block.tokens},
                      {"key", block.key.hex()}});
  ordered_json seconds = {{"total", answer.seconds.total()}};
  for (size_t step = 0; step < kAnswerSteps.size(); ++step)
    seconds[kAnswerSteps[step]] = answer.seconds.steps[step];
  const std::string& label = answer.label.text;
  return {{"label", answer.abstained ? ordered_json(nullptr) : ordered_json(label)},
          {"abstained_label", answer.abstained ? ordered_json(label) : ordered_json(nullptr)},
          {"log_probability", number_or_null(answer.label.log_probability)},
          {"runner_up", label_to_json(answer.runner_up)},
          {"label_log_probabilities", scores_to_json(answer.label_log_probabilities)},
          {"blocks", std::move(blocks)},
          {"tokens",
           {{"query", answer.query_tokens},
            {"selected", answer.selected_tokens},
            {"cut", answer.cut_tokens}}},
          {"blocks_rebuilt", answer.blocks_rebuilt},
          {"kv_loaded", kv_loaded_to_json(answer.kv_loaded)},
          {"seconds", std::move(seconds)}};
}

ordered_json totals_to_json(const RunRecord& record, const RunTotals& totals) {
  const Scores& scores = totals.scores;
  const bool scored = scores.count > 0;
  const auto queries = static_cast<int64_t>(record.queries.size());
  ordered_json out = {{"queries", queries}, {"labelled", scores.count}};
  out["items"] = {{"answered", totals.answered},
                  {"errors", queries - totals.answered},
                  {"truncated", totals.truncated},
                  {"unknown_labels", totals.unknown_labels},
                  {"labels_covered", totals.labels_covered}};
  out["correct"] = scored ? ordered_json(scores.correct) : ordered_json(nullptr);
  out["accuracy"] = scored ? ordered_json(scores.accuracy) : ordered_json(nullptr);
  out["accuracy_95"] = scored
                           ? ordered_json::array({scores.accuracy_95.low, scores.accuracy_95.high})
                           : ordered_json(nullptr);
  out["macro_f1"] = scored ? ordered_json(scores.macro_f1) : ordered_json(nullptr);
  out["text_scores"] = text_scores_to_json(totals.text_scores);
  out["labels"] = labels_to_json(totals.confusion);
  out["confusions"] = confusions_to_json(totals.confusion);
  out["reliability"] = reliability_to_json(totals.reliability);
  out["risk_coverage"] = risk_coverage_to_json(totals.risk_coverage);
  out["abstention"] = abstention_to_json(totals.abstention);
  out["setup_seconds"] = record.encode.setup_seconds;
  out["answer_seconds"] = record.answer_seconds;
  out["request_seconds"] = percentiles_to_json(totals.request);
  for (size_t step = 0; step < kAnswerSteps.size(); ++step)
    out["stage_seconds"][kAnswerSteps[step]] = percentiles_to_json(totals.steps[step]);
  out["kv_bytes"] = record.encode.kv_bytes;
  out["kv_loaded"] = kv_loaded_to_json(totals.kv_loaded);
  out["kv_error"] = kv_error_to_json(record.kv_error);
  out["peak_memory_bytes"] = record.peak_memory_bytes;
  out["blocks_encoded"] = totals.blocks_encoded;
  out["blocks_reused"] = totals.blocks_reused;
  out["blocks_rebuilt"] = totals.blocks_rebuilt;
  return out;
}

ordered_json record_to_json(const RunRecord& record, const RunTotals& totals) {
  ordered_json plugins = ordered_json::array(), queries = ordered_json::array();
  for (const PluginRecord& plugin : record.plugins) plugins.push_back(plugin_to_json(plugin));
  for (const QueryRecord& query : record.queries)
    queries.push_back(query_to_json(query, record.free_decoding));
  ordered_json encode = encode_to_json(record.encode);
  encode["assignment"] = record.encode.assignment;
  encode["label_names"] = record.encode.labels;
  const nlohmann::json& config = record.config;
  return {{"schema_version", kRecordSchemaVersion},
          {"program", {{"name", "dbsa-pipe"}, {"version", record.program_version}}},
          {"started_at", utc_time(record.started)},
          {"pipeline", record.pipeline_path},
          {"config", ordered_json(config)},
          {"seeds",
           {{"data", config.at("data").at("seed").get<uint64_t>()},
            {"block_grouper", config.at("block_grouper").at("seed").get<uint64_t>()}}},
          {"plugins", std::move(plugins)},
          {"identity", identity_to_json(record.identity, record.draw, record.outside_group)},
          {"model", model_to_json(record.model)},
          {"machine", machine_to_json(record.machine, record.threads)},
          {"encode", std::move(encode)},
          {"validity", validity_to_json(record.validity)},
          {"warnings", record.warnings},
          {"totals", totals_to_json(record, totals)},
          {"queries", std::move(queries)}};
}

Result<std::string> write_record(const std::string& directory, const std::string& pipeline_path,
                                 std::time_t started, const ordered_json& record) {
  DBSA_RETURN_IF_ERROR(check_record_directory(directory));
  const std::string stem =
      std::filesystem::path(pipeline_path).stem().string() + "-" + utc_stamp(started);
  Result<std::string> path = write_new_file(
      [&](int n) {
        return directory + "/" + stem + (n > 1 ? "-" + std::to_string(n) : "") + ".json";
      },
      record_text(record));
  if (!path.ok()) return of_directory(std::move(path).error());
  return path;
}

Status rewrite_record(const std::string& path, const ordered_json& record) {
  return write_file_atomically(path, record_text(record));
}

Status check_record_directory(const std::string& directory) {
  if (Status made = make_folders(directory); !made.ok())
    return of_directory(std::move(made).error());
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    return of_directory(file_error(directory, "write result records there", errno));
  return {};
}

std::string utc_time(std::time_t time) { return formatted(time, "%Y-%m-%dT%H:%M:%SZ"); }
std::string utc_stamp(std::time_t time) { return formatted(time, "%Y%m%dT%H%M%SZ"); }

}  // namespace dbsa
