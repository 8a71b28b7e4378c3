// The result record: one JSON file a run, from which the run can be understood and repeated. Its
// format is schemas/results.schema.json.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "icl/confusion.h"
#include "icl/dataset.h"
#include "icl/metrics.h"
#include "icl/reliability.h"
#include "icl/text_metrics.h"
#include "icl/validity.h"
#include "pipeline/identity/identity.h"
#include "pipeline/kv_error.h"
#include "pipeline/pipeline.h"
#include "pipeline/record/machine.h"

namespace dbsa {

inline constexpr int kRecordSchemaVersion = 1;
// Of a record or a sweep.json that is read; a query takes some KiB.
inline constexpr uint64_t kMaxRecordFileBytes = uint64_t{1} << 30;

// The largest confusions that a record has; the others follow from its queries.
inline constexpr size_t kRecordedConfusions = 20;

struct PluginRecord {
  std::string stage;  // "retriever"
  std::string id;
  std::string version;
  int64_t revision = 0;
  std::string library;       // file name
  std::string library_hash;  // XXH3-128 of the file, hexadecimal
};

struct QueryRecord {
  Example query;
  Answer answer;
  std::optional<ItemError> error = {};  // then there is no answer
};

struct RunRecord {
  std::string program_version;
  std::time_t started = 0;
  std::string pipeline_path;
  nlohmann::json config;  // resolved
  std::vector<PluginRecord> plugins;
  ModelInfo model;
  MachineInfo machine;
  int threads = 0;
  RunIdentity identity;
  std::string draw;        // see draw_identity
  KeyNames outside_group;  // see keys_outside_groups
  EncodeReport encode;
  DataValidity validity;
  std::vector<std::string> warnings;  // that the run gave, validity's too
  bool free_decoding = false;         // answers are texts, and scored as such, too
  std::vector<QueryRecord> queries;
  double answer_seconds = 0;        // wall time of all queries
  std::optional<KvError> kv_error;  // under int8, where it is measured
  uint64_t peak_memory_bytes = 0;
};

struct Percentiles {
  double mean = 0, p50 = 0, p95 = 0;  // seconds
};

// Answers that decoding.abstain_below withholds, and what the others are worth.
struct Abstention {
  double below = 0;
  int64_t abstained = 0;
  double coverage = 0;  // share of the answers that are given
  Scores rest;          // of given answers with a label; counts only, without macro-F1
};

struct RunTotals {
  Scores scores;               // over queries with a label, errors as wrong; scores.count may be 0
  int64_t answered = 0;        // queries without an error
  int64_t truncated = 0;       // of these, the ones whose text was cut
  int64_t unknown_labels = 0;  // queries with a label that the pool does not have
  int64_t labels_covered = 0;  // labels of the pool that a query expects
  std::optional<TextScores> text_scores;  // over the same; free decoding only
  ConfusionMatrix confusion;              // over the same; not under free decoding
  // Over answered queries with a label; not under free decoding. Abstained answers count by their
  // withheld label.
  std::optional<Reliability> reliability;
  std::vector<CoveragePoint> risk_coverage;
  std::optional<Abstention> abstention;  // where decoding.abstain_below is above 0
  Percentiles request;                   // AnswerTimings::total()
  std::array<Percentiles, kAnswerSteps.size()> steps;
  int64_t blocks_encoded = 0;
  int64_t blocks_reused = 0;
  int64_t blocks_rebuilt = 0;  // while encoding and while answering
  KvLoaded kv_loaded;          // of all queries
};
RunTotals run_totals(const RunRecord& record);

// Null where no blocks were kept.
nlohmann::ordered_json change_to_json(const std::optional<DemonstrationChange>& change);
nlohmann::ordered_json reasons_to_json(EncodeReasons reasons);
// Null without a history.
nlohmann::ordered_json history_to_json(const std::optional<PoolHistory>& history);
// Without the assignment, which is as long as the pool.
nlohmann::ordered_json encode_to_json(const EncodeReport& report);
nlohmann::ordered_json calibration_to_json(const EncodeReport& report);
// The counts, and the warnings that they give.
nlohmann::ordered_json validity_to_json(const DataValidity& validity);
// {"code": "too_long", "message": "..."}
nlohmann::ordered_json item_error_to_json(const ItemError& error);
// Without the query: label, log-probabilities, blocks, tokens, seconds.
nlohmann::ordered_json answer_to_json(const Answer& answer);
nlohmann::ordered_json totals_to_json(const RunRecord& record, const RunTotals& totals);
nlohmann::ordered_json record_to_json(const RunRecord& record, const RunTotals& totals);

// Writes <directory>/<stem of the pipeline file>-<UTC time>[-n].json, whole or not at all, and
// never over another record; returns the path. kEnvironment when the disk refuses.
Result<std::string> write_record(const std::string& directory, const std::string& pipeline_path,
                                 std::time_t started, const nlohmann::ordered_json& record);

// Rewrites a record that write_record wrote, atomically.
Status rewrite_record(const std::string& path, const nlohmann::ordered_json& record);

// Makes sure, before work begins, that a record can be written there. kEnvironment.
Status check_record_directory(const std::string& directory);

// "2026-01-31T12:00:00Z" and "20260131T120000Z"
std::string utc_time(std::time_t time);
std::string utc_stamp(std::time_t time);

}  // namespace dbsa
