// Engine: a pipeline file made to work. Opens the plugins, the model and the store; encodes a pool
// (stage one); answers queries from it (stage two).
//
//   Engine::open -> encode (or open_pool, for a pool that was encoded before) -> answer, answer,
//   ...
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "icl/dataset.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"
#include "model/decoder/decoder.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/identity/identity.h"
#include "pipeline/pool/encode_reasons.h"
#include "pipeline/pool/pool.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// How the demonstrations differ from those of the pool as it was.
struct DemonstrationChange {
  std::vector<int64_t> edited_lines;  // of the data file: where edited ones stand
  int64_t added = 0, removed = 0;
  bool any() const { return !edited_lines.empty() || added > 0 || removed > 0; }
};

// What encoding is about to do, before it computes.
struct EncodeEstimate {
  int64_t demonstrations = 0;
  int64_t blocks = 0;            // of the pool, a prefix block included
  int64_t tokens = 0;            // of the pool
  int64_t blocks_to_encode = 0;  // absent from the store
  int64_t tokens_to_encode = 0;
  uint64_t bytes_to_store = 0;
  uint64_t free_bytes = 0;
  std::optional<DemonstrationChange> change;  // since the pool was stored whose blocks are kept
  EncodeReasons reasons;                      // of the blocks to encode
  int64_t retired_blocks = 0;                 // of the pool
};

struct EncodeReport {
  EncodeEstimate estimate;
  int64_t blocks_encoded = 0;
  int64_t tokens_encoded = 0;
  uint64_t bytes_stored = 0;    // KV planes put into the store
  int64_t blocks_repaired = 0;  // stored bytes found wrong and computed again
  uint64_t kv_bytes = 0;        // of the whole pool
  bool index_reused = false;
  std::vector<std::string> labels;  // to choose from, in byte order
  std::string demonstrations_hash;  // of their texts and labels in order, hexadecimal
  std::string blocks_hash;          // of the keys of all blocks in order, hexadecimal
  // Whether the blocks are those of a new store, not some that have kept what they held through
  // edits of the demonstrations.
  bool dealt_at_once = true;
  // Of a pool with edits that were appended; without order and plans.
  std::optional<PoolHistory> history;
  std::optional<Calibration> calibration;  // where answers need one
  bool calibration_reused = false;         // it was in the store
  // Of each block: the lines of the data file its demonstrations stand on. None of a prefix block.
  std::vector<std::vector<int64_t>> assignment;
  double setup_seconds = 0;   // all of stage one: reading, tokens, index and encoding
  double encode_seconds = 0;  // only computing and storing KV
  std::string pool_id;
  std::string pool_location;  // "" where the store is not kept, or the pool could not be
  Status pool_kept;           // why not, when all blocks were there: answers do not need it
};

// The change of a built pool with the lines of its demonstrations; none where it kept no blocks.
std::optional<DemonstrationChange> change_of(const BuiltPool& built,
                                             std::span<const Example> demonstrations);

// Labels and hashes of a pool, as a report of its encoding has them.
void describe_pool(const Pool& pool, EncodeReport& report);

struct EncodeObserver {
  std::function<void(const EncodeEstimate&)> estimate;
  std::function<void(const EncodeProgress&)> progress;
  // Held-out demonstrations that are answered, of all of them.
  std::function<void(int64_t done, int64_t total)> calibrating;
};

// Seconds of one request, by stage.
struct AnswerTimings {
  double retrieve = 0;  // retriever and selection
  double load = 0;      // store look-up and import
  double verify = 0;    // checksums of planes not read before in this process
  double prefill = 0;   // the query's tokens and rows
  double decode = 0;    // the label
  double repair = 0;    // encoding blocks that were damaged or gone
  double total() const { return retrieve + load + verify + prefill + decode + repair; }
};

struct AnswerLabel {
  std::string text;
  // Natural logarithm. trie, greedy_trie and likelihood: of the label among all labels, after
  // scorer and temperature; vote: of its share of the votes; free: of the generated text.
  double log_probability = 0;
};

struct AnswerBlock {
  int64_t block = 0;            // index in the pool
  std::optional<double> score;  // the retriever's; none for anchors and fill
  int64_t start = 0;            // position of its first token in the answer plan
  int64_t tokens = 0;
  KvKey key;  // of its keys and values
};

// Stored keys and values that the rows of a query read: layers with a window leave out the blocks
// beyond it.
struct KvLoaded {
  uint64_t bytes = 0;             // whole planes, also those that an earlier query had read
  uint64_t all_layers_bytes = 0;  // of the selected blocks
};

struct Answer {
  AnswerLabel label;
  std::optional<AnswerLabel> runner_up;  // not under free; with two labels or more
  bool abstained = false;  // the label is withheld: its probability is below decoding.abstain_below
  // likelihood only: log-probability of each of the pool's labels among them all, in their order.
  std::vector<double> label_log_probabilities;
  std::vector<AnswerBlock> blocks;  // in prompt order
  int64_t selected_tokens = 0;
  int64_t query_tokens = 0;
  int64_t cut_tokens = 0;       // of the text, left out of query_tokens (data.truncate)
  int64_t blocks_repaired = 0;  // damaged or gone, and encoded again
  KvLoaded kv_loaded;           // nothing where no stored block is used
  AnswerTimings seconds;
};

// What became of a query. Its own error says nothing about the others.
using Outcome = std::variant<Answer, ItemError>;

struct ModelInfo {
  std::string path;
  std::string family;
  std::string fingerprint;  // hexadecimal
  std::string compute;      // "f32" | "bf16" | "quantised"
  std::string kv_dtype;     // "f32" | "bf16" | "int8"
  int64_t parameters = 0;   // elements of all tensors
  std::string backend;      // AttentionBackend::describe()
  std::string tokenizer;    // fingerprint of its file, hexadecimal
};

// bf16 arithmetic for weights of 16 bits or fewer, on blocks as they are where the backend takes
// them, float32 for others, unless the file says.
Precision choose_precision(const ModelSettings& settings, const Weights& weights);

// A data set of a pipeline file: what it chooses of a file, and hash_rows of the whole file.
struct DataRows {
  std::vector<Example> chosen;    // of the pool
  std::vector<Example> held_out;  // data.held_out others
  std::string identity;
};
// kConfig, too, where nothing would be left for the pool.
Result<DataRows> read_demonstrations(const DataSettings& data);
// Says in the log how a table of data is separated.
void log_table(const DataSettings& data, const std::string& path, host::HostServices& services);
// Queries as they stand in the file, those with an error included: query_indices count them, too.
// query_count draws, with data.seed, and keeps the order. kConfig where none is without error.
struct QueryRows {
  std::vector<Row> chosen;
  std::string identity;
};
Result<QueryRows> read_queries(const DataSettings& data);
// The labels to choose from, in byte order: those of the demonstrations, held-out ones included,
// and of data.labels.
struct LabelRows {
  std::vector<std::string> labels;
  std::string identity;  // hash_rows of data.labels, "" where there is none
};
Result<LabelRows> read_labels(const DataSettings& data, const DataRows& demonstrations);

struct Explanation;  // explanation.h

struct OpenOptions {
  // Hash the weights and the packed weights again, even if their hashes are remembered.
  bool rehash_weights = false;
};

class Engine {
 public:
  // resolved must have no faults. The services and the registry outlive the engine.
  static Result<std::unique_ptr<Engine>> open(const host::ResolvedPipeline& resolved,
                                              host::PluginRegistry& registry,
                                              host::HostServices& services,
                                              OpenOptions options = {});
  ~Engine();

  // Stage one. Encodes what the store lacks, publishes it and the pool's manifest, and opens the
  // pool; calibrates it, where answers need that and the store has no such calibration. regroup:
  // blocks as a new store would have them, where they are not. kCancelled keeps what is encoded.
  Result<EncodeReport> encode(bool regroup, const EncodeObserver& observer);

  // The open pool, for encode_copy of another engine.
  const Pool& pool() const;
  // When the pool that open_pool() opened was stored.
  int64_t pool_changed_unix_s() const;
  // Of the open pool; none where answers need none.
  const std::optional<Calibration>& calibration() const;
  // Encodes the pool of an engine whose settings differ only in model.kv_dtype, and opens it; it is
  // calibrated as that one is. No manifest is published, so that what is stored belongs to no pool
  // and collection drops it. The report says what was encoded, and nothing of the pool. Errors as
  // encode.
  Result<EncodeReport> encode_copy(Pool pool, std::optional<Calibration> calibration,
                                   const EncodeObserver& observer);

  // Opens a pool from its manifest, without reading the demonstrations. kConfig when there is none
  // for these settings and this model, or no calibration of it that they need.
  Status open_pool();

  // Answers one query against the open pool. The query's own error is a kConfig error, or kPlugin.
  Result<Answer> answer(std::string_view text);
  // The same answer, with all that it came of. without_each: one more answer for each selected
  // block, without it. Errors as above.
  Result<Explanation> explain(std::string_view text, bool without_each);
  // Answers several, in their order, the rows of all of them in the same forward passes: the same
  // answers, sooner. A pass counts in the seconds of each answer with its share of the rows. An
  // error is one that is not the query's own: of the model, the store, memory, or a cancellation.
  std::vector<Result<Outcome>> answer_together(std::span<const std::string> texts);
  // How many queries to answer together: model.batch_size, or what is chosen for 0.
  int64_t batch_size() const;

  // The queries of the pipeline file, chosen as it says. kConfig where any of them has an error.
  Result<std::vector<Example>> load_queries() const;

  // What the answers depend on, once the pool is encoded; and the draw that the pool is of.
  // queries: QueryRows::identity. kEnvironment when data.query_indices cannot be read.
  Result<RunIdentity> identity(const std::string& queries) const;
  std::string draw() const;

  // The labels that the open pool lets choose from.
  std::vector<std::string> labels() const;

  const Settings& settings() const;
  const Tokenizer& tokenizer() const;
  ModelInfo model_info() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbsa
