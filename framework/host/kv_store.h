// host::KvStore: a KV store plugin as the framework uses it. See dbsa/kv_store.h. All of it is
// [any]: calls that the plugin takes one at a time wait for each other.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "host/instance.h"
#include "host/store_keys.h"

namespace dbsa::host {

class KvStore {
 public:
  // A view of a block; the planes stay readable as long as it lives. The store must live longer.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    explicit operator bool() const { return store_ != nullptr; }
    const dbsa_kv_format& format() const { return format_; }
    const void* plane(uint32_t layer) const { return view_.planes[layer]; }
    const void* const* planes() const { return view_.planes; }  // [format().layers]
    // Compares a plane with its checksum, once a process; the bytes read for it. kCorrupt on a
    // mismatch. [any]
    Result<uint64_t> verify(uint32_t layer) const;
    // Says that a plane will be verified soon. [any]
    void fetch(uint32_t layer) const;

   private:
    friend class KvStore;
    Lease(const Instance* store, const dbsa_kv_view& view, const dbsa_kv_format& format)
        : store_(store), view_(view), format_(format) {}
    const Instance* store_ = nullptr;
    dbsa_kv_view view_{};
    dbsa_kv_format format_{};
  };

  static Result<KvStore> create(const LoadedPlugin& plugin, HostServices& services,
                                const nlohmann::json& config);
  const std::string& plugin_id() const { return instance_->plugin().id; }
  // Whether and where it keeps blocks between processes, as it was configured.
  const StoreKeys& keys() const { return keys_; }

  Result<bool> contains(const KvKey& key) const;
  // kNotFound when absent. Format and planes are checked.
  Result<Lease> get(const KvKey& key) const;
  Status put(const KvKey& key, const dbsa_kv_format& format, std::span<const void* const> planes);
  Status publish();
  Status discard(const KvKey& key);
  // entry returns false to stop.
  Status list(const std::function<bool(const KvEntry&)>& entry) const;
  Status check(const std::function<void(const KvFault&)>& fault);
  // Drops blocks that no pool needs; the bytes freed. `dropped` is told each; with dry_run nothing
  // changes.
  Result<uint64_t> collect(uint64_t max_bytes, bool dry_run,
                           const std::function<void(const KvEntry&)>& dropped);
  Result<uint64_t> compact();
  Result<dbsa_kv_stats> stats() const;
  Status pool_put(const KvPool& pool);
  Result<KvPool> pool_get(const std::string& id) const;  // kNotFound, kCorrupt
  // All pools by id, without document and keys.
  Result<std::vector<KvPool>> pool_list() const;
  Status pool_drop(const std::string& id);

 private:
  class EntrySink;
  KvStore(Instance instance, StoreKeys keys);
  // Of a [run] function.
  template <typename Function, typename... Arguments>
  Status call_in_turn(const char* name, Function function, Arguments... arguments) const {
    const std::lock_guard lock(*turn_);
    return instance_->call(name, function, arguments...);
  }

  std::unique_ptr<Instance> instance_;  // leases point to it
  std::unique_ptr<std::mutex> turn_;
  const dbsa_kv_store_vtable* vtable_;
  StoreKeys keys_;
};

}  // namespace dbsa::host
