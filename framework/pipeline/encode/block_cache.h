// Blocks of the KV store, opened for the backend: each block is leased and imported once and kept
// until it is dropped. Planes are read in place; none is touched before verify(), and one that no
// pass wants never is.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "host/attention_backend.h"
#include "host/kv_store.h"
#include "model/decoder/window.h"
#include "pipeline/encode/block_content.h"
#include "pipeline/encode/block_planes.h"

namespace dbsa {

class OpenBlock {
 public:
  OpenBlock(KvKey key, host::KvStore::Lease lease, host::Kv kv)
      : key_(key),
        lease_(std::move(lease)),
        kv_(std::move(kv)),
        format_(lease_.format()),
        verified_(format_.layers, false) {}
  // Needs no verifying.
  OpenBlock(KvKey key, BlockPlanes planes, host::Kv kv)
      : key_(key), own_(std::move(planes)), kv_(std::move(kv)), format_(own_.format()) {}

  const KvKey& key() const { return key_; }
  const host::Kv& kv() const { return kv_; }

  // Bytes of the planes of these layers, [layers].
  uint64_t bytes_of(const LayerSet& layers) const {
    return format_.plane_bytes *
           static_cast<uint64_t>(std::count(layers.begin(), layers.end(), true));
  }

  // Compares the plane of a layer with its checksum if the layer is among those that are wanted,
  // the first time only; the plane of the next of them is brought in meanwhile. kCorrupt on a
  // mismatch.
  Status verify(int32_t layer, const LayerSet& wanted) {
    const auto i = static_cast<size_t>(layer);
    if (in_memory() || !wanted[i] || verified_[i]) return {};
    const auto next = std::find(wanted.begin() + layer + 1, wanted.end(), true);
    if (next != wanted.end() && !verified_[static_cast<size_t>(next - wanted.begin())])
      lease_.fetch(static_cast<uint32_t>(next - wanted.begin()));
    DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes,
                          lease_.verify(static_cast<uint32_t>(layer)));
    verified_[i] = true;
    return {};
  }
  Status verify(const LayerSet& wanted) {
    for (size_t i = 0; i < wanted.size(); ++i)
      DBSA_RETURN_IF_ERROR(verify(static_cast<int32_t>(i), wanted));
    return {};
  }
  // The same, and kCorrupt when the numbers are none: see check_finite.
  Status verify_content(const LayerSet& wanted) {
    DBSA_RETURN_IF_ERROR(verify(wanted));
    if (in_memory()) return {};
    for (size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i])
        DBSA_RETURN_IF_ERROR(
            check_finite(format_, static_cast<int32_t>(i), lease_.plane(static_cast<uint32_t>(i))));
    return {};
  }

  // Whether it is in no store.
  bool in_memory() const { return !own_.empty(); }

 private:
  KvKey key_;
  BlockPlanes own_;
  host::KvStore::Lease lease_;  // before kv_, which reads what it leases
  host::Kv kv_;
  dbsa_kv_format format_;
  LayerSet verified_;
};

class BlockCache {
 public:
  BlockCache(host::KvStore& store, host::AttentionBackend& backend)
      : store_(store), backend_(backend) {}

  // A block of that many tokens. kNotFound when the store has none of that key, kCorrupt when it
  // has one that is not of this model and backend.
  Result<std::shared_ptr<OpenBlock>> open(const KvKey& key, int64_t tokens) {
    if (const auto found = blocks_.find(key); found != blocks_.end()) return found->second;
    DBSA_ASSIGN_OR_RETURN(host::KvStore::Lease lease, store_.get(key));
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format expected, backend_.block_format(tokens));
    if (Status same = check_format(expected, lease.format()); !same.ok())
      return Error{ErrorCode::kCorrupt, "the stored block " + same.error().message, ""};
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(lease.format(), lease.planes()));
    auto block = std::make_shared<OpenBlock>(key, std::move(lease), std::move(kv));
    return blocks_.emplace(key, std::move(block)).first->second;
  }

  // Keeps a block that the store does not take, as long as this lives.
  Status keep(const KvKey& key, BlockPlanes planes) {
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(planes.format(), planes.all().data()));
    blocks_[key] = std::make_shared<OpenBlock>(key, std::move(planes), std::move(kv));
    return {};
  }
  bool keeps(const KvKey& key) const {
    const auto found = blocks_.find(key);
    return found != blocks_.end() && found->second->in_memory();
  }

  // Drops the blocks that nobody else holds and the store has.
  void drop_unused() {
    std::erase_if(blocks_, [](const auto& entry) {
      return entry.second.use_count() == 1 && !entry.second->in_memory();
    });
  }

  // Forgets a block whose bytes proved wrong, here and in the store.
  Status discard(const KvKey& key) {
    blocks_.erase(key);
    return store_.discard(key);
  }

 private:
  host::KvStore& store_;
  host::AttentionBackend& backend_;
  std::unordered_map<KvKey, std::shared_ptr<OpenBlock>, KvKeyHash> blocks_;
};

}  // namespace dbsa
