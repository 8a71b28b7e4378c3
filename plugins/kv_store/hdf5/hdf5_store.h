// dbsa.kv_store.hdf5: KV blocks in a folder of immutable packs. See README.md beside this file for
// the folder, the life of a pack and the locks, and schemas/kv_pack.md for the bytes.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <chrono>
#include <filesystem>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "pack_set.h"
#include "pack_writer.h"
#include "pool_folder.h"
#include "store_lock.h"

namespace dbsa {

class Hdf5Store final : public KvStore {
 public:
  static constexpr uint32_t kRevision = 1;

  struct Settings {
    std::filesystem::path path;
    uint64_t max_bytes = 0;  // 0: no bound
    uint64_t pack_bytes = 0;
    double publish_interval_s = 0;
  };

  static Status check_config(const Config& config);
  static Result<std::unique_ptr<Hdf5Store>> create(Host host, const Config& config);
  Hdf5Store(Host host, Settings settings);

  Result<bool> contains(const KvKey& key) override;
  Result<std::unique_ptr<Lease>> get(const KvKey& key) override;
  Status put(const KvKey& key, const dbsa_kv_format& format,
             std::span<const void* const> planes) override;
  Status publish() override;
  Status discard(const KvKey& key) override;
  Status list(const std::function<bool(const KvEntry&)>& entry) override;
  Status check(const std::function<void(const KvFault&)>& fault) override;
  Result<uint64_t> collect(uint64_t max_bytes, bool dry_run, const Dropped& dropped) override;
  Result<uint64_t> compact() override;
  Result<dbsa_kv_stats> stats() override;
  Status pool_put(const KvPool& pool) override;
  Result<KvPool> pool_get(const std::string& id) override;
  Result<std::vector<KvPool>> pool_list() override;
  Status pool_drop(const std::string& id) override;

 private:
  using Clock = std::chrono::steady_clock;
  using Keep = std::unordered_set<KvKey, KvKeyHash>;
  struct Pending {
    kv_pack::StoredBlock block;
    uint64_t stored_bytes = 0;
  };

  // A pack with half a block in it must not be published, no matter what stopped the put: an error,
  // or memory that ran out.
  class DropPending {
   public:
    explicit DropPending(Hdf5Store& store) : store_(&store) {}
    DropPending(const DropPending&) = delete;
    DropPending& operator=(const DropPending&) = delete;
    ~DropPending() {
      if (store_ != nullptr) store_->drop_pending();
    }
    void keep() { store_ = nullptr; }

   private:
    Hdf5Store* store_;
  };

  Status begin_writing();
  Status check_fits(const KvKey& key, const dbsa_kv_format& format) const;
  Status append(const KvKey& key, const dbsa_kv_format& format,
                std::span<const void* const> planes);
  void drop_pending();
  bool is_pending(const KvKey& key) const;
  void check_pack(const kv_pack::PackFile& pack, const kv_pack::PackSet::Snapshot& all,
                  const std::function<void(const KvFault&)>& fault) const;

  // maintenance.cc
  Result<uint64_t> maintain(const std::function<Status()>& work);
  Result<Keep> needed_keys() const;
  std::vector<kv_pack::PackSet::Place> unneeded(const kv_pack::PackSet::Snapshot& all,
                                                const Keep& needed, uint64_t max_bytes) const;
  Status keep_only(const kv_pack::PackSet::Snapshot& all, const Keep& keep);
  Status rewrite(std::span<const kv_pack::PackSet::Place> places,
                 std::span<const std::shared_ptr<const kv_pack::PackFile>> replaced);
  Result<bool> rest_is_sound(const kv_pack::PackFile& pack) const;
  Error unreadable(const kv_pack::PackFile& pack, const std::string& what) const;
  Status remove_packs(std::span<const std::shared_ptr<const kv_pack::PackFile>> packs);
  Status remove_bad_packs(const kv_pack::PackSet::Snapshot& all);

  const Host host_;
  const Settings settings_;
  kv_pack::PackSet packs_;
  const std::filesystem::path home_;  // of lock and pools
  kv_pack::StoreLock lock_;
  kv_pack::PoolFolder pools_;
  bool writing_ = false;  // the lock is held and leftovers are gone

  // The pack that is being filled. Changed by [run] calls only.
  std::unique_ptr<kv_pack::PackWriter> writer_;
  Clock::time_point first_put_;
  mutable std::shared_mutex pending_mutex_;
  std::unordered_map<KvKey, Pending, KvKeyHash> pending_;  // blocks of writer_
  uint64_t pending_bytes_ = 0;
};

// What `list` says of a published block.
KvEntry entry_of(const kv_pack::PackSet::Place& place);

}  // namespace dbsa
