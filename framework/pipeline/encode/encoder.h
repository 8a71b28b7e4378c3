// Stage one: computes the KV of a pool's blocks and puts it into the store.
//
// Rows of many blocks go through the model together, chunk_tokens at a time, layer by layer; a
// block longer than a chunk is carried over. A block that another one sees is read from live KV in
// the same chunk, else from the store. Values do not depend on how the rows are cut into chunks:
// where storing changes what is kept (int8), others see a block of the same chunk as it will be
// stored, and only its own rows see the numbers as they were computed.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "host/kv_store.h"
#include "model/decoder/scheduler.h"
#include "pipeline/encode/block_cache.h"
#include "pipeline/encode/block_key.h"
#include "pipeline/encode/encode_plan.h"

namespace dbsa {

// One block of a pool, ready to be encoded.
struct EncodeBlock {
  KvKey key;
  std::vector<int32_t> token_ids;
  BlockPlan plan;
};

struct EncodeProgress {
  int64_t blocks_done = 0, blocks_total = 0;
  int64_t tokens_done = 0, tokens_total = 0;
  int64_t bytes_stored = 0;
};

// What encoding would take: stated to the user before it starts.
struct EncodeNeed {
  std::vector<int64_t> blocks;  // to be computed, ascending; blocks of one key stand here once
  int64_t tokens = 0;
  uint64_t bytes = 0;                        // KV planes
  uint64_t free_bytes = 0;                   // of the store's disk or of memory
  uint64_t stored_bytes = 0, max_bytes = 0;  // of the store; no bound: 0
  host::StoreKeys keys;                      // of the store, for messages
};

// Which of `wanted` (indices into pool) are not stored, together with those that they see,
// ascending; blocks of one key stand here once. The error of is_stored.
Result<std::vector<int64_t>> absent_blocks(
    std::span<const EncodeBlock> pool, std::span<const int64_t> wanted,
    const std::function<Result<bool>(const EncodeBlock&)>& is_stored);

// Of one thread at a time. Several on one model take turns at it, chunk by chunk.
class Encoder {
 public:
  // scheduler: the model's.
  Encoder(Scheduler& scheduler, Decoder& model, host::AttentionBackend& backend,
          host::KvStore& store, BlockCache& cache, host::HostServices& services,
          int64_t chunk_tokens)
      : scheduler_(scheduler),
        model_(model),
        backend_(backend),
        store_(store),
        cache_(cache),
        services_(services),
        chunk_tokens_(chunk_tokens) {}

  // Which of `wanted` (indices into pool) the store lacks, together with the absent blocks that
  // those see. Reads no plane. A stored block that is not of this model and backend is discarded,
  // with a warning, and counts as absent.
  Result<EncodeNeed> need(std::span<const EncodeBlock> pool, std::span<const int64_t> wanted);

  // kEnvironment, with the figures, when it cannot fit.
  static Status check_room(const EncodeNeed& need);

  // Computes and publishes what `need` lists. A stored block that proves corrupt on the way is
  // discarded and computed again, and counted in rebuilt(). On kCancelled, and on any error, what
  // is done is published first.
  // keep_in_memory: a block that the store cannot take (read-only, full) is kept in the cache, with
  // a warning, and is no error.
  using Report = std::function<void(const EncodeProgress&)>;
  Status encode(std::span<const EncodeBlock> pool, EncodeNeed need, const Report& report,
                bool keep_in_memory = false);

  // Stored blocks found corrupt so far while encoding.
  int64_t rebuilt() const { return rebuilt_; }

 private:
  struct Live;
  struct LiveBlocks;
  struct Chunk;
  // Of the blocks of a pool that the store has: their formats, and where they lie.
  struct StoredFormat {
    dbsa_kv_format format;
    std::string location;
  };
  using StoredFormats = std::unordered_map<KvKey, StoredFormat, KvKeyHash>;
  Status encode_pass(std::span<const EncodeBlock> pool, const EncodeNeed& need,
                     EncodeProgress& progress, const Report& report);
  Result<Chunk> make_chunk(std::span<const EncodeBlock> pool, std::span<const int64_t> todo,
                           size_t& next, LiveBlocks& live);
  Status add_range(std::span<const EncodeBlock> pool, Live& own, int64_t rows,
                   const LiveBlocks& live, Chunk& chunk);
  Status seal(int64_t tokens, Live& live);
  Status store_block(std::span<const EncodeBlock> pool, const Live& live, BlockPlanes& planes,
                     EncodeProgress& progress);
  Status put(const EncodeBlock& block, BlockPlanes& planes);
  Status publish();
  bool refuses(const Status& stored, const std::string& what);
  Result<bool> is_stored(const EncodeBlock& block, const StoredFormats& stored);
  Result<StoredFormats> stored_formats(std::span<const EncodeBlock> pool) const;
  LayerSet layers_reading(const PlacedSegment& segment, int64_t first_row) const;
  Error not_finite(std::span<const EncodeBlock> pool, const EncodeBlock& block);
  Result<std::shared_ptr<OpenBlock>> open_sound(const EncodeBlock& block, const LayerSet& wanted,
                                                bool content);

  Scheduler& scheduler_;
  Decoder& model_;  // its passes are work of the scheduler's
  host::AttentionBackend& backend_;
  host::KvStore& store_;
  BlockCache& cache_;
  host::HostServices& services_;
  int64_t chunk_tokens_;
  int64_t rebuilt_ = 0;
  bool keeps_ = false;    // in memory, what the store cannot take
  bool refused_ = false;  // it could not take something, and is not asked again
};

}  // namespace dbsa
