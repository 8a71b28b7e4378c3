// Blocks of the KV store, opened for the backend: each block is leased and imported once and kept
// while there is room. Planes are read in place; none is touched before verify(), and one that no
// pass wants never is.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "host/attention_backend.h"
#include "host/kv_store.h"
#include "model/decoder/window.h"
#include "pipeline/encode/block_planes.h"

namespace dbsa {

// [any]
class OpenBlock {
 public:
  OpenBlock(KvKey key, host::KvStore::Lease lease, host::Kv kv);
  // Needs no verifying.
  OpenBlock(KvKey key, BlockPlanes planes, host::Kv kv);

  const KvKey& key() const { return key_; }
  const host::Kv& kv() const { return kv_; }

  // Bytes of all its planes, and of those of these layers, [layers].
  uint64_t bytes() const { return format_.plane_bytes * format_.layers; }
  uint64_t bytes_of(const LayerSet& layers) const;

  // Compares the plane of a layer with its checksum if the layer is among those that are wanted,
  // the first time only; the plane of the next of them is brought in meanwhile. kCorrupt on a
  // mismatch.
  Status verify(int32_t layer, const LayerSet& wanted);
  Status verify(const LayerSet& wanted);
  // The same, and kCorrupt for numbers that are not finite: see check_finite.
  Status verify_content(const LayerSet& wanted);

  // Whether it is in no store.
  bool in_memory() const { return !own_.empty(); }

 private:
  KvKey key_;
  BlockPlanes own_;
  host::KvStore::Lease lease_;  // before kv_, which reads what it leases
  host::Kv kv_;
  dbsa_kv_format format_;
  std::unique_ptr<std::atomic<bool>[]> verified_;  // [layers]
};

// What a cache has done so far.
struct BlockCacheCounts {
  uint64_t bytes = 0;  // of the planes of the blocks that it holds
  int64_t found = 0, opened = 0, dropped = 0;
};

// [any]
class BlockCache {
 public:
  // most_bytes: of planes; a block that someone uses stays beyond it. 0: half of the machine's
  // memory.
  BlockCache(host::KvStore& store, host::AttentionBackend& backend, uint64_t most_bytes);

  // A block of that many tokens. kNotFound when the store has none of that key, kCorrupt when it
  // has one that is not of this model and backend.
  Result<std::shared_ptr<OpenBlock>> open(const KvKey& key, int64_t tokens);

  // Keeps a block that the store does not take, as long as this lives.
  Status keep(const KvKey& key, BlockPlanes planes);
  bool keeps(const KvKey& key) const;

  // Drops the blocks that nobody else holds and the store has.
  void drop_unused();

  // Forgets a block whose bytes proved wrong, here and in the store.
  Status discard(const KvKey& key);

  BlockCacheCounts counts() const;
  const host::KvStore& store() const { return store_; }

 private:
  struct Held {
    std::shared_ptr<OpenBlock> block;
    std::list<KvKey>::iterator used;
  };
  using Blocks = std::unordered_map<KvKey, Held, KvKeyHash>;
  void insert(const KvKey& key, std::shared_ptr<OpenBlock> block);
  void erase(Blocks::iterator held);
  void drop_beyond(uint64_t bytes);

  host::KvStore& store_;
  host::AttentionBackend& backend_;
  const uint64_t most_bytes_;
  mutable std::mutex mutex_;
  Blocks blocks_;
  std::list<KvKey> order_;  // the one used last in front
  BlockCacheCounts counts_;
};

}  // namespace dbsa
