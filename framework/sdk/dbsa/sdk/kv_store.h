// KvStore: base class of KV store plugins. See dbsa/kv_store.h.
#pragma once

#include <dbsa/kv_store.h>
#include <dbsa/sdk/plugin.h>

#include <array>
#include <compare>
#include <functional>
#include <string>
#include <vector>

namespace dbsa {

// The identity of a KV block.
struct KvKey {
  std::array<uint8_t, DBSA_KV_KEY_BYTES> bytes{};
  static KvKey from(const uint8_t* source) {
    KvKey key;
    std::memcpy(key.bytes.data(), source, key.bytes.size());
    return key;
  }
  std::string hex() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const uint8_t byte : bytes) {
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    return text;
  }
  auto operator<=>(const KvKey&) const = default;
};

struct KvKeyHash {
  size_t operator()(const KvKey& key) const {
    size_t value;  // keys are hashes already
    std::memcpy(&value, key.bytes.data(), sizeof value);
    return value;
  }
};

struct KvEntry {
  KvKey key;
  dbsa_kv_format format{};
  uint64_t stored_bytes = 0;
  int64_t created_unix_s = 0;
  std::string location;
};

struct KvFault {
  std::optional<KvKey> key;
  std::string location;
  std::string message;
};

// A document of the host's, and the blocks that it needs. See dbsa_kv_pool.
struct KvPool {
  std::string id;
  std::vector<uint8_t> document;
  std::vector<KvKey> keys;
  int64_t changed_unix_s = 0;
  std::string location;
};

class KvStore {
 public:
  using Kind = KvStore;
  using Vtable = dbsa_kv_store_vtable;
  static constexpr uint32_t kKind = DBSA_KIND_KV_STORE;
  static const Vtable kVtable;

  // What a view leases. Planes stay readable until the lease is destroyed.
  class Lease {
   public:
    virtual ~Lease() = default;
    virtual const dbsa_kv_format& format() const = 0;  // its own
    virtual const void* const* planes() const = 0;     // [format().layers]
    // Compares a plane with its checksum, once a process; returns the bytes read for it.
    virtual Result<uint64_t> verify(uint32_t plane) = 0;
    // The plane is verified soon: its bytes may be brought in meanwhile.
    virtual void fetch(uint32_t /*plane*/) {}
  };

  virtual ~KvStore() = default;
  virtual Result<bool> contains(const KvKey& key) = 0;
  virtual Result<std::unique_ptr<Lease>> get(const KvKey& key) = 0;
  virtual Status put(const KvKey& key, const dbsa_kv_format& format,
                     std::span<const void* const> planes) = 0;
  virtual Status publish() = 0;
  virtual Status discard(const KvKey& key) = 0;
  virtual Status list(const std::function<bool(const KvEntry&)>& entry) = 0;  // false: stop
  virtual Status check(const std::function<void(const KvFault&)>& fault) = 0;
  // Returns the bytes freed. Pools are read when no other instance can publish any more; where one
  // cannot be read, nothing is dropped. `dropped` is told each block; with dry_run nothing changes.
  using Dropped = std::function<void(const KvEntry&)>;
  virtual Result<uint64_t> collect(uint64_t max_bytes, bool dry_run, const Dropped& dropped) = 0;
  virtual Result<uint64_t> compact() = 0;
  virtual Result<dbsa_kv_stats> stats() = 0;
  // A crash leaves the old pool or the new one; durable when it returns.
  virtual Status pool_put(const KvPool& pool) = 0;
  virtual Result<KvPool> pool_get(const std::string& id) = 0;  // kNotFound, kCorrupt
  // All of them, without document and keys.
  virtual Result<std::vector<KvPool>> pool_list() = 0;
  virtual Status pool_drop(const std::string& id) = 0;  // kNotFound
};

namespace sdk {
inline KvStore* store(void* instance) { return static_cast<KvStore*>(instance); }

inline dbsa_kv_entry to_abi(const KvEntry& entry) {
  dbsa_kv_entry out = {};
  out.struct_size = sizeof out;
  std::memcpy(out.key, entry.key.bytes.data(), sizeof out.key);
  out.format = &entry.format;
  out.stored_bytes = entry.stored_bytes;
  out.created_unix_s = entry.created_unix_s;
  out.location = entry.location.c_str();
  return out;
}

inline dbsa_kv_pool to_abi(const KvPool& pool) {
  static_assert(sizeof(KvKey) == DBSA_KV_KEY_BYTES);
  dbsa_kv_pool out = {};
  out.struct_size = sizeof out;
  out.id = pool.id.c_str();
  out.document = pool.document.data();
  out.document_bytes = pool.document.size();
  out.keys = reinterpret_cast<const uint8_t*>(pool.keys.data());
  out.key_count = pool.keys.size();
  out.changed_unix_s = pool.changed_unix_s;
  out.location = pool.location.c_str();
  return out;
}

// A pool of at least DBSA_KV_POOL_LEAST bytes.
inline KvPool from_abi(const dbsa_kv_pool& pool) {
  KvPool out;
  out.id = pool.id != nullptr ? pool.id : "";
  if (pool.document_bytes > 0)
    out.document.assign(pool.document, pool.document + pool.document_bytes);
  out.keys.reserve(pool.key_count);
  for (uint64_t k = 0; k < pool.key_count; ++k)
    out.keys.push_back(KvKey::from(pool.keys + k * DBSA_KV_KEY_BYTES));
  out.changed_unix_s = pool.changed_unix_s;
  out.location = pool.location != nullptr ? pool.location : "";
  return out;
}
}  // namespace sdk

inline const KvStore::Vtable KvStore::kVtable = {
    sizeof(Vtable),
    [](void* instance, const uint8_t* key, int32_t* found, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const bool has, sdk::store(instance)->contains(KvKey::from(key)));
        *found = has ? 1 : 0;
        return {};
      });
    },
    [](void* instance, const uint8_t* key, dbsa_kv_view* view, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Lease> lease,
                              sdk::store(instance)->get(KvKey::from(key)));
        if (lease == nullptr) return Error{ErrorCode::kPlugin, "returned no lease", ""};
        view->format = &lease->format();
        view->planes = lease->planes();
        view->lease = lease.release();
        return {};
      });
    },
    [](void*, void* lease) noexcept { delete static_cast<Lease*>(lease); },
    [](void*, void* lease, uint32_t plane, uint64_t* bytes_checked, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(*bytes_checked, static_cast<Lease*>(lease)->verify(plane));
        return {};
      });
    },
    [](void* instance, const uint8_t* key, const dbsa_kv_format* format, const void* const* planes,
       dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::store(instance)->put(KvKey::from(key), *format, {planes, format->layers});
      });
    },
    [](void* instance, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::store(instance)->publish(); });
    },
    [](void* instance, const uint8_t* key, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::store(instance)->discard(KvKey::from(key)); });
    },
    [](void* instance, const dbsa_kv_entry_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::store(instance)->list([&](const KvEntry& entry) {
          const dbsa_kv_entry out = sdk::to_abi(entry);
          return sink->entry(sink->context, &out) == DBSA_OK;
        });
      });
    },
    [](void* instance, const dbsa_kv_fault_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] {
        return sdk::store(instance)->check([&](const KvFault& fault) {
          sink->fault(sink->context, fault.key ? fault.key->bytes.data() : nullptr,
                      fault.location.c_str(), fault.message.c_str());
        });
      });
    },
    [](void* instance, uint64_t max_bytes, int32_t dry_run, const dbsa_kv_entry_sink* dropped,
       uint64_t* freed_bytes, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        const auto tell = [&](const KvEntry& entry) {
          const dbsa_kv_entry out = sdk::to_abi(entry);
          dropped->entry(dropped->context, &out);
        };
        DBSA_ASSIGN_OR_RETURN(*freed_bytes,
                              sdk::store(instance)->collect(max_bytes, dry_run != 0, tell));
        return {};
      });
    },
    [](void* instance, uint64_t* freed_bytes, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(*freed_bytes, sdk::store(instance)->compact());
        return {};
      });
    },
    [](void* instance, dbsa_kv_stats* stats, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats own, sdk::store(instance)->stats());
        sdk::write_struct(own, stats);
        return {};
      });
    },
    [](void* instance, const dbsa_kv_pool* pool, dbsa_error* error) noexcept {
      return sdk::guard(error,
                        [&] { return sdk::store(instance)->pool_put(sdk::from_abi(*pool)); });
    },
    [](void* instance, const char* id, const dbsa_kv_pool_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const KvPool pool, sdk::store(instance)->pool_get(id));
        const dbsa_kv_pool out = sdk::to_abi(pool);
        sink->pool(sink->context, &out);
        return {};
      });
    },
    [](void* instance, const dbsa_kv_pool_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(const std::vector<KvPool> pools, sdk::store(instance)->pool_list());
        for (const KvPool& pool : pools) {
          const dbsa_kv_pool out = sdk::to_abi(pool);
          if (sink->pool(sink->context, &out) != DBSA_OK) break;
        }
        return {};
      });
    },
    [](void* instance, const char* id, dbsa_error* error) noexcept {
      return sdk::guard(error, [&] { return sdk::store(instance)->pool_drop(id); });
    },
    [](void*, void* lease, uint32_t plane) noexcept {
      sdk::guard(nullptr, [&]() -> Status {
        static_cast<Lease*>(lease)->fetch(plane);
        return {};
      });
    },
};

}  // namespace dbsa
