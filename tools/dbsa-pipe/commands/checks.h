// Checks of a pipeline's data that need no model: what `validate` reports and what `run` makes sure
// of before it spends time on encoding.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <vector>

#include "host/resolve.h"
#include "icl/dataset.h"
#include "icl/input_table.h"
#include "icl/label_coverage.h"
#include "icl/validity.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/pool/data_rows.h"
#include "pipeline/settings/settings.h"

namespace dbsa::cli {

struct CheckedData {
  PoolData pool;
  std::vector<Row> queries;  // that run would answer, those with an error included
  std::string query_rows;    // QueryRows::identity

  // Drawn, without those that are held out.
  const std::vector<Example>& demonstrations() const { return pool.demonstrations.chosen; }
  const std::vector<std::string>& labels() const { return pool.labels.labels; }  // to choose from
};

// Reads demonstrations, queries and indices. All faults in one error, a line each,
// except those of single queries. query_table: data.queries, where it is read already.
Result<CheckedData> check_data(const Settings& settings, const InputTable* query_table = nullptr);

// The errors of queries as one; see describe_faults.
Status query_faults(const Settings& settings, const CheckedData& data);

// How many labels of the pool the queries expect; see LabelCoverage.
LabelCoverage cover_labels(const CheckedData& data);
// Its warnings, none of them where answers are free texts; or that the queries' file has no column
// of labels.
std::vector<std::string> label_warnings(const Settings& settings, const CheckedData& data);

// What makes the data doubtful: more queries asked for than there are, DataValidity's counts,
// labels that the pool lacks, and texts that cannot be told from the prompt (see prompt_doubts.h).
std::vector<std::string> data_warnings(const host::ResolvedPipeline& resolved,
                                       const Settings& settings, const CheckedData& data,
                                       const DataValidity& validity, const Tokenizer& tokenizer);

// What a command writes.
enum class Written { kNothing, kStore, kStoreAndRecord };

// Whether folders that a command writes into are there or can be made, as far as that shows without
// making them. All faults in one kEnvironment error, a line each with its place.
Status check_folders(const host::ResolvedPipeline& resolved, Written written);

// What is written in the pipeline, is not the default, and has no effect there: "decoding.stop: has
// no effect with decoding.method = "trie"", with its place. A file that several pipelines share may
// have such keys, so they are no faults.
std::vector<std::string> find_idle_keys(const host::ResolvedPipeline& resolved);

// kConfig when the pipeline names no queries.
Status check_queries_given(const Settings& settings);

// Several errors as one: their lines in order. The code is kConfig if any is, else the first's.
class ErrorList {
 public:
  void add(const Error& error);
  void add(const Status& status) {
    if (!status.ok()) add(status.error());
  }
  bool empty() const { return !any_; }
  Status status() const;

 private:
  bool any_ = false;
  Error all_;
};

}  // namespace dbsa::cli
