#include "host/kv_store.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace dbsa::host {
namespace {

// A store's format as this host's interface has it; nothing where it is none.
std::optional<dbsa_kv_format> read_format(const dbsa_kv_format* format) {
  if (format == nullptr || format->struct_size < DBSA_KV_FORMAT_LEAST) return std::nullopt;
  return sdk::read_struct(format);
}

std::string no_format(const dbsa_kv_format* format) {
  if (format == nullptr) return "no format";
  return "a format with struct_size " + std::to_string(format->struct_size) +
         ", expected at least " + std::to_string(DBSA_KV_FORMAT_LEAST);
}

// Why a view cannot be what a store keeps; empty if it can.
std::string fault_of(const dbsa_kv_view& view, const dbsa_kv_format& format) {
  if (format.layers == 0 || format.layers > 4096)
    return "a format of " + std::to_string(format.layers) + " layers";
  if (format.tokens == 0 || format.kv_heads == 0 || format.head_dim == 0)
    return "a format without tokens, heads or width";
  if (format.plane_bytes == 0) return "a format with empty planes";
  if (view.planes == nullptr) return "no planes";
  for (uint32_t i = 0; i < format.layers; ++i) {
    if (view.planes[i] == nullptr) return "no plane " + std::to_string(i);
    if (reinterpret_cast<uintptr_t>(view.planes[i]) % DBSA_KV_PLANE_ALIGNMENT != 0)
      return "plane " + std::to_string(i) + " that is not 64-byte aligned";
  }
  return "";
}

}  // namespace

KvStore::Lease::Lease(Lease&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), view_(other.view_), format_(other.format_) {}

KvStore::Lease& KvStore::Lease::operator=(Lease&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(view_, other.view_);
  std::swap(format_, other.format_);
  return *this;
}

KvStore::Lease::~Lease() {
  if (store_ == nullptr) return;
  const PluginCallScope scope(store_->plugin(), "release");
  store_->vtable<dbsa_kv_store_vtable>().release(store_->get(), view_.lease);
}

Result<uint64_t> KvStore::Lease::verify(uint32_t layer) const {
  uint64_t bytes = 0;
  DBSA_RETURN_IF_ERROR(store_->call("verify_plane",
                                    store_->vtable<dbsa_kv_store_vtable>().verify_plane,
                                    view_.lease, layer, &bytes));
  if (bytes > format_.plane_bytes)
    return store_->broken("verify_plane", "says it read " + std::to_string(bytes) +
                                              " bytes of a plane of " +
                                              std::to_string(format_.plane_bytes));
  return bytes;
}

void KvStore::Lease::fetch(uint32_t layer) const {
  const auto& vtable = store_->vtable<dbsa_kv_store_vtable>();
  if (vtable.fetch_plane == nullptr) return;
  const PluginCallScope scope(store_->plugin(), "fetch_plane");
  vtable.fetch_plane(store_->get(), view_.lease, layer);
}

KvStore::KvStore(Instance instance, StoreKeys keys)
    : instance_(std::make_unique<Instance>(std::move(instance))),
      turn_(std::make_unique<std::mutex>()),
      vtable_(&instance_->vtable<dbsa_kv_store_vtable>()),
      keys_(std::move(keys)) {}

Result<KvStore> KvStore::create(const LoadedPlugin& plugin, HostServices& services,
                                const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_KV_STORE));
  return KvStore(std::move(instance), store_keys(plugin.roles, config));
}

Result<bool> KvStore::contains(const KvKey& key) const {
  int32_t found = 0;
  DBSA_RETURN_IF_ERROR(instance_->call("contains", vtable_->contains, key.bytes.data(), &found));
  return found != 0;
}

Result<KvStore::Lease> KvStore::get(const KvKey& key) const {
  dbsa_kv_view view = {};
  view.struct_size = sizeof view;
  DBSA_RETURN_IF_ERROR(instance_->call("get", vtable_->get, key.bytes.data(), &view));
  const std::optional<dbsa_kv_format> format = read_format(view.format);
  Lease lease(instance_.get(), view, format.value_or(dbsa_kv_format{}));
  const std::string fault = format ? fault_of(view, *format) : no_format(view.format);
  if (!fault.empty()) return instance_->broken("get", "returned " + fault);
  return lease;
}

Status KvStore::put(const KvKey& key, const dbsa_kv_format& format,
                    std::span<const void* const> planes) {
  if (planes.size() != format.layers)
    return Error{ErrorCode::kInvalidArgument, "put: one plane for each layer is needed", ""};
  return call_in_turn("put", vtable_->put, key.bytes.data(), &format, planes.data());
}

Status KvStore::publish() { return call_in_turn("publish", vtable_->publish); }

Status KvStore::discard(const KvKey& key) {
  return call_in_turn("discard", vtable_->discard, key.bytes.data());
}

// Receives entries and passes them on. A fault of the plugin's is kept, and ends the list.
class KvStore::EntrySink {
 public:
  explicit EntrySink(const std::function<bool(const KvEntry&)>& entry) : entry_(entry) {}
  const dbsa_kv_entry_sink* abi() const { return &sink_; }
  bool stopped() const { return stopped_; }
  const std::string& fault() const { return fault_; }

 private:
  int32_t receive(const dbsa_kv_entry* source) {
    if (source->struct_size < DBSA_KV_ENTRY_LEAST) {
      fault_ = "an entry with struct_size " + std::to_string(source->struct_size) +
               ", expected at least " + std::to_string(DBSA_KV_ENTRY_LEAST);
      return DBSA_ERROR_PLUGIN;
    }
    const std::optional<dbsa_kv_format> format = read_format(source->format);
    if (!format) {
      fault_ = no_format(source->format);
      return DBSA_ERROR_PLUGIN;
    }
    stopped_ =
        !entry_({KvKey::from(source->key), *format, source->stored_bytes, source->created_unix_s,
                 source->location != nullptr ? source->location : ""});
    return stopped_ ? DBSA_ERROR_CANCELLED : DBSA_OK;
  }

  const std::function<bool(const KvEntry&)>& entry_;
  bool stopped_ = false;
  std::string fault_;
  const dbsa_kv_entry_sink sink_ = {
      sizeof(dbsa_kv_entry_sink), this,
      [](void* self, const dbsa_kv_entry* source) noexcept -> int32_t {
        return static_cast<EntrySink*>(self)->receive(source);
      }};
};

Status KvStore::list(const std::function<bool(const KvEntry&)>& entry) const {
  const EntrySink sink(entry);
  Status status = instance_->call("list", vtable_->list, sink.abi());
  if (!sink.fault().empty()) return instance_->broken("list", "returned " + sink.fault());
  // Stopping is the caller's wish, however the plugin reports it.
  if (sink.stopped()) return {};
  return status;
}

Status KvStore::check(const std::function<void(const KvFault&)>& fault) {
  const dbsa_kv_fault_sink sink = {
      sizeof(dbsa_kv_fault_sink), const_cast<void*>(static_cast<const void*>(&fault)),
      [](void* argument, const uint8_t* key, const char* location, const char* message) noexcept {
        KvFault value;
        if (key != nullptr) value.key = KvKey::from(key);
        value.location = location != nullptr ? location : "";
        value.message = message != nullptr ? message : "";
        (*static_cast<const std::function<void(const KvFault&)>*>(argument))(value);
      }};
  return call_in_turn("check", vtable_->check, &sink);
}

Result<uint64_t> KvStore::collect(uint64_t max_bytes, bool dry_run,
                                  const std::function<void(const KvEntry&)>& dropped) {
  const std::function<bool(const KvEntry&)> tell = [&](const KvEntry& entry) {
    dropped(entry);
    return true;
  };
  const EntrySink sink(tell);
  uint64_t freed = 0;
  DBSA_RETURN_IF_ERROR(
      call_in_turn("collect", vtable_->collect, max_bytes, dry_run ? 1 : 0, sink.abi(), &freed));
  if (!sink.fault().empty()) return instance_->broken("collect", "told of " + sink.fault());
  return freed;
}

Result<uint64_t> KvStore::compact() {
  uint64_t freed = 0;
  DBSA_RETURN_IF_ERROR(call_in_turn("compact", vtable_->compact, &freed));
  return freed;
}

Result<dbsa_kv_stats> KvStore::stats() const {
  dbsa_kv_stats stats = {};
  stats.struct_size = sizeof stats;
  DBSA_RETURN_IF_ERROR(instance_->call("stats", vtable_->stats, &stats));
  if (stats.struct_size < DBSA_KV_STATS_LEAST || stats.struct_size > sizeof stats)
    return instance_->broken("stats",
                             "returned a struct_size of " + std::to_string(stats.struct_size));
  stats.struct_size = sizeof stats;
  return stats;
}

namespace {

// What a store gave as pools, or what was wrong with one.
struct ReceivedPools {
  std::vector<KvPool> pools;
  std::string fault;

  int32_t receive(const dbsa_kv_pool* pool) {
    if (pool->struct_size < DBSA_KV_POOL_LEAST)
      fault = "a pool with struct_size " + std::to_string(pool->struct_size) +
              ", expected at least " + std::to_string(DBSA_KV_POOL_LEAST);
    else if (pool->id == nullptr || *pool->id == '\0')
      fault = "a pool without an id";
    else if (pool->document_bytes > 0 && pool->document == nullptr)
      fault = "a pool without its document";
    else if (pool->key_count > 0 && pool->keys == nullptr)
      fault = "a pool without its keys";
    if (!fault.empty()) return DBSA_ERROR_PLUGIN;
    pools.push_back(sdk::from_abi(*pool));
    return DBSA_OK;
  }

  dbsa_kv_pool_sink sink() {
    return {sizeof(dbsa_kv_pool_sink), this,
            [](void* self, const dbsa_kv_pool* pool) noexcept -> int32_t {
              return static_cast<ReceivedPools*>(self)->receive(pool);
            }};
  }
};

}  // namespace

Status KvStore::pool_put(const KvPool& pool) {
  const dbsa_kv_pool out = sdk::to_abi(pool);
  return call_in_turn("pool_put", vtable_->pool_put, &out);
}

Result<KvPool> KvStore::pool_get(const std::string& id) const {
  ReceivedPools received;
  const dbsa_kv_pool_sink sink = received.sink();
  const Status status = instance_->call("pool_get", vtable_->pool_get, id.c_str(), &sink);
  if (received.fault.empty()) DBSA_RETURN_IF_ERROR(status);
  if (received.fault.empty() && received.pools.size() != 1)
    received.fault = std::to_string(received.pools.size()) + " pools, expected one";
  if (!received.fault.empty()) return instance_->broken("pool_get", "returned " + received.fault);
  return std::move(received.pools.front());
}

Result<std::vector<KvPool>> KvStore::pool_list() const {
  ReceivedPools received;
  const dbsa_kv_pool_sink sink = received.sink();
  const Status status = instance_->call("pool_list", vtable_->pool_list, &sink);
  if (!received.fault.empty()) return instance_->broken("pool_list", "returned " + received.fault);
  DBSA_RETURN_IF_ERROR(status);
  std::ranges::sort(received.pools, {}, &KvPool::id);
  return std::move(received.pools);
}

Status KvStore::pool_drop(const std::string& id) {
  return call_in_turn("pool_drop", vtable_->pool_drop, id.c_str());
}

}  // namespace dbsa::host
