// What encoding a pool is about to do, does, and has done.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "icl/dataset.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/pool/encode_reasons.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_builder.h"

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
  uint64_t bytes_stored = 0;   // KV planes put into the store
  int64_t blocks_rebuilt = 0;  // stored bytes found wrong and computed again
  uint64_t kv_bytes = 0;       // of the whole pool
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

// Without bytes. previous: the pool that `built` has kept blocks of, or nullptr. demonstrations:
// those that `built` was made of. absent: indices into built.blocks of those to encode.
EncodeEstimate estimate_of(const BuiltPool& built, const Pool* previous,
                           std::span<const Example> demonstrations,
                           std::span<const int64_t> absent);

// Labels and hashes of a pool, as a report of its encoding has them.
void describe_pool(const Pool& pool, EncodeReport& report);

struct EncodeObserver {
  std::function<void(const EncodeEstimate&)> estimate;
  std::function<void(const EncodeProgress&)> progress;
  // Held-out demonstrations that are answered, of all of them.
  std::function<void(int64_t done, int64_t total)> calibrating;
};

}  // namespace dbsa
