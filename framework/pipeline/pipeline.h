// Pipeline: a pipeline file made to work. Loads the model, opens the plugins and the store; encodes
// a pool (stage one); answers queries from it (stage two).
//
//   Pipeline::open -> encode (or open_pool, for a pool that was encoded before) -> answer, answer,
//   ...
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "pipeline/answer/answer.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/answer/request_limits.h"
#include "pipeline/encode/block_cache.h"
#include "pipeline/encode_report.h"
#include "pipeline/identity/identity.h"
#include "pipeline/model/loaded_model.h"
#include "pipeline/pool/data_rows.h"
#include "pipeline/pool/pool.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

struct Explanation;  // explanation.h

// Encoding and opening a pool: [run]. Answering and explaining: [any], also while a pool is
// encoded: answers then come from the pool that was open before. What pool() and calibration() give
// is valid until another pool is encoded or opened.
class Pipeline {
 public:
  // resolved must have no faults. The services and the registry outlive the pipeline. model: one
  // that is loaded already, to be shared (kConfig where it is not the one that the file names), or
  // nullptr.
  static Result<std::unique_ptr<Pipeline>> open(const host::ResolvedPipeline& resolved,
                                                host::PluginRegistry& registry,
                                                host::HostServices& services,
                                                OpenOptions options = {},
                                                std::shared_ptr<LoadedModel> model = nullptr);
  ~Pipeline();

  const std::shared_ptr<LoadedModel>& model() const;

  // Stage one. Encodes what the store lacks, publishes it and the pool's manifest, and opens the
  // pool; calibrates it, where answers need that and the store has no such calibration. regroup:
  // blocks as a new store would have them, where they are not. kCancelled keeps what is encoded.
  Result<EncodeReport> encode(const PoolData& data, bool regroup, const EncodeObserver& observer);
  // Of the files that the pipeline names.
  Result<EncodeReport> encode(bool regroup, const EncodeObserver& observer);

  // The open pool, for encode_copy of another pipeline.
  const Pool& pool() const;
  // When the pool that open_pool() opened was stored.
  int64_t pool_changed_unix_s() const;
  // Of the open pool; none where answers need none.
  const std::optional<Calibration>& calibration() const;
  // Encodes the pool of a pipeline whose settings differ only in model.kv_dtype, and opens it; it
  // is calibrated as that one is. No manifest is published, so that what is stored belongs to no
  // pool and collection drops it. The report says what was encoded, and nothing of the pool. Errors
  // as encode.
  Result<EncodeReport> encode_copy(Pool pool, std::optional<Calibration> calibration,
                                   const EncodeObserver& observer);

  // Opens a pool from its manifest, without reading the demonstrations. kConfig when there is none
  // for these settings and this model, or no calibration of it that they need.
  Status open_pool();

  // Answers one query against the open pool. The query's own error is a kConfig error, or kPlugin.
  Result<Answer> answer(std::string_view text, const RequestLimits& limits = {});
  // The same answer, with all that it came of. without_each: one more answer for each selected
  // block, without it. Errors as above.
  Result<Explanation> explain(std::string_view text, bool without_each);
  // Answers several, in their order, the rows of all of them in the same forward passes: the same
  // answers, sooner. A pass counts in the seconds of each answer with its share of the rows. An
  // error is one that is not the query's own: of the model, the store, memory, or a cancellation.
  std::vector<Result<Outcome>> answer_together(std::span<const std::string> texts,
                                               const RequestLimits& limits = {});
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
  // What the cache of stored blocks has done.
  BlockCacheCounts cache_counts() const;

  const Settings& settings() const;
  const Tokenizer& tokenizer() const;
  ModelInfo model_info() const;

 private:
  struct Impl;
  explicit Pipeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbsa
