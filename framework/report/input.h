// What a report is made from: folders of `dbsa-pipe sweep` and result records of `dbsa-pipe run`.
#pragma once

#include <dbsa/sdk/result.h>

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/confusion.h"
#include "pipeline/answer/answer.h"
#include "report/identity.h"

namespace dbsa {

inline constexpr int kSweepSchemaVersion = 1;

using AxisValues = std::map<std::string, std::string>;  // axis -> value

// One answer of a record.
struct ReportAnswer {
  // The same in every record for the n-th query of equal text and expected label.
  uint64_t query = 0;
  uint64_t text = 0;  // the same for equal texts, which ask the same however often they stand there
  std::optional<bool> correct;
  // Of its label; nothing where answering failed, and of free answers.
  std::optional<double> probability;
  std::optional<double> seconds;  // nothing where answering failed
};

// What a record says about its evaluation; counts of what makes figures say less than they seem
// to.
struct Validity {
  int64_t queries_in_demonstrations = 0, texts_with_two_labels = 0, duplicates = 0,
          near_equal_labels = 0, duplicate_queries = 0, queries_with_two_labels = 0,
          near_expected_labels = 0;
  int64_t labels_covered = 0, labels = 0;  // by the expected labels of the queries; of all labels
};

// What a report needs of one result record. Times in seconds, sizes in bytes.
struct ReportRun {
  std::string path;      // of the record
  std::string pipeline;  // path of the pipeline file
  AxisValues values;     // of a sweep's cell; empty for a loose record
  nlohmann::json config;
  ReportIdentity identity;
  std::optional<Validity> validity;
  std::vector<std::string> warnings;  // that the run gave, except those that validity counts
  uint64_t data_seed = 0, grouper_seed = 0;
  std::string program_version, started_at;
  std::string model;    // last part of the folder's path
  std::string dataset;  // data.demonstrations
  int64_t model_parameters = 0;
  std::string cpu, os;
  int64_t threads = 0;
  uint64_t memory_bytes = 0;  // of the machine
  int64_t queries = 0;
  int64_t unanswered = 0;                    // of these, the ones that have an error instead
  std::optional<double> accuracy, macro_f1;  // nothing without labelled queries
  std::vector<ReportAnswer> answers;
  ConfusionMatrix confusion;  // of answers that are right or wrong; empty for free answers
  std::map<std::string, double> scores;  // other figures of the totals
  double request_mean = 0, request_p50 = 0, request_p95 = 0;
  std::array<double, kAnswerSteps.size()> stages = {};  // means
  double setup = 0;
  bool reused = false;  // part of the pool was found in the store, so setup is not all of it
  double kv_bytes = 0, peak_memory_bytes = 0;
  double demonstrations = 0, blocks = 0, tokens = 0;  // of the pool
  double selected_tokens = 0;                         // mean over queries
};

struct SweepAxis {
  std::string name;
  std::vector<std::string> values;
  bool is_identity = false;  // what groups of equal values differ in; see report_identity.h
};

struct PublishedFigure {
  AxisValues cell;     // axes it does not name may have any value
  std::string metric;  // "accuracy", "request_ratio", "setup_ratio"
  double value = 0;
  std::string source;
};

// A cell without a record that can be used.
struct LostCell {
  std::string name;
  int64_t run = 0;
  std::optional<int64_t> exit_code;  // nothing: it has not run, or its record is damaged
  std::string message;               // "": it has not run
};

// One sweep, or all loose records together.
struct StudyInput {
  std::string title;
  std::string path;  // of the sweep's folder, or of the first loose record
  bool is_sweep = false;
  std::vector<SweepAxis> axes;
  std::optional<AxisValues> baseline;
  std::vector<PublishedFigure> published;
  int64_t cells = 0;
  std::vector<LostCell> lost;
  std::vector<ReportRun> runs;
};

struct ReportInput {
  std::vector<StudyInput> studies;
  // Files that are damaged or cannot be read, a line for each fault.
  std::vector<std::string> left_out;
};

// Sweeps in the order of the paths, loose records last. Each path is a folder with a sweep.json, a
// folder of records or a record. A file of a folder that is damaged or cannot be read is left out,
// and named. An error, with all faults, a line each, where a path leads to nothing or cannot be
// read itself, or no record is left:
// kConfig for files that are not what they should be, kEnvironment for what cannot be read.
Result<ReportInput> read_report_input(std::span<const std::string> paths);

// The same for text that is at hand; `file` is the name for messages. Each fault is appended.
std::optional<ReportRun> parse_record(const std::string& file, std::string_view text,
                                      std::vector<std::string>& faults);

// One cell of a sweep.json.
struct ListedCell {
  int64_t run = 0;
  AxisValues values;
  std::string name;
  std::string record;  // path in the sweep's folder
};
struct SweepFile {
  StudyInput study;  // without runs
  std::vector<ListedCell> cells;
};
std::optional<SweepFile> parse_sweep(const std::string& file, std::string_view text,
                                     std::vector<std::string>& faults);

}  // namespace dbsa
