// Blocks of the KV store, opened for the backend: each block is leased and imported once and kept
// until it is dropped. Planes are read in place; none is touched before verify().
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "host/attention_backend.h"
#include "host/kv_store.h"

namespace dbsa {

class OpenBlock {
 public:
  OpenBlock(KvKey key, host::KvStore::Lease lease, host::Kv kv)
      : key_(key),
        lease_(std::move(lease)),
        kv_(std::move(kv)),
        verified_(lease_.format().layers, false) {}

  const KvKey& key() const { return key_; }
  const host::Kv& kv() const { return kv_; }

  // Compares the plane of a layer with its checksum, the first time only. kCorrupt on a mismatch.
  Status verify(int32_t layer) {
    const auto i = static_cast<size_t>(layer);
    if (verified_[i]) return {};
    DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t bytes,
                          lease_.verify(static_cast<uint32_t>(layer)));
    verified_[i] = true;
    return {};
  }
  Status verify_all() {
    for (size_t i = 0; i < verified_.size(); ++i)
      DBSA_RETURN_IF_ERROR(verify(static_cast<int32_t>(i)));
    return {};
  }

 private:
  KvKey key_;
  host::KvStore::Lease lease_;  // before kv_, which reads what it leases
  host::Kv kv_;
  std::vector<bool> verified_;
};

class BlockCache {
 public:
  BlockCache(host::KvStore& store, host::AttentionBackend& backend)
      : store_(store), backend_(backend) {}

  // kNotFound when the store has no such block.
  Result<std::shared_ptr<OpenBlock>> open(const KvKey& key) {
    if (const auto found = blocks_.find(key); found != blocks_.end()) return found->second;
    DBSA_ASSIGN_OR_RETURN(host::KvStore::Lease lease, store_.get(key));
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(lease.format(), lease.planes()));
    auto block = std::make_shared<OpenBlock>(key, std::move(lease), std::move(kv));
    return blocks_.emplace(key, std::move(block)).first->second;
  }

  // Drops the blocks that nobody else holds.
  void drop_unused() {
    std::erase_if(blocks_, [](const auto& entry) { return entry.second.use_count() == 1; });
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
