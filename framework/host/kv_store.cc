#include "host/kv_store.h"

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

KvStore::KvStore(Instance instance)
    : instance_(std::make_unique<Instance>(std::move(instance))),
      vtable_(&instance_->vtable<dbsa_kv_store_vtable>()) {}

Result<KvStore> KvStore::create(const LoadedPlugin& plugin, HostServices& services,
                                const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_KV_STORE));
  return KvStore(std::move(instance));
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
  return instance_->call("put", vtable_->put, key.bytes.data(), &format, planes.data());
}

Status KvStore::publish() { return instance_->call("publish", vtable_->publish); }

Status KvStore::discard(const KvKey& key) {
  return instance_->call("discard", vtable_->discard, key.bytes.data());
}

Status KvStore::list(const std::function<bool(const KvEntry&)>& entry) const {
  struct Context {
    const std::function<bool(const KvEntry&)>* entry;
    bool stopped;
    std::string fault;
  } context{&entry, false, ""};
  const dbsa_kv_entry_sink sink = {
      sizeof(dbsa_kv_entry_sink), &context,
      [](void* argument, const dbsa_kv_entry* source) noexcept -> int32_t {
        auto& asked = *static_cast<Context*>(argument);
        if (source->struct_size < DBSA_KV_ENTRY_LEAST) {
          asked.fault = "an entry with struct_size " + std::to_string(source->struct_size) +
                        ", expected at least " + std::to_string(DBSA_KV_ENTRY_LEAST);
          return DBSA_ERROR_PLUGIN;
        }
        const std::optional<dbsa_kv_format> format = read_format(source->format);
        if (!format) {
          asked.fault = no_format(source->format);
          return DBSA_ERROR_PLUGIN;
        }
        const KvEntry value = {KvKey::from(source->key), *format, source->stored_bytes,
                               source->created_unix_s,
                               source->location != nullptr ? source->location : ""};
        asked.stopped = !(*asked.entry)(value);
        return asked.stopped ? DBSA_ERROR_CANCELLED : DBSA_OK;
      }};
  Status status = instance_->call("list", vtable_->list, &sink);
  if (!context.fault.empty()) return instance_->broken("list", "returned " + context.fault);
  // Stopping is the caller's wish, however the plugin reports it.
  if (context.stopped) return {};
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
  return instance_->call("check", vtable_->check, &sink);
}

Result<uint64_t> KvStore::collect(const Roots& roots, uint64_t max_bytes) {
  struct Source {
    const Roots& roots;
    std::vector<uint8_t> keys;
    std::optional<Error> failure;
  } source{roots, {}, std::nullopt};
  const dbsa_kv_root_source fetched = {
      sizeof fetched, &source, [](void* context, const uint8_t** keys, int64_t* count) {
        auto& self = *static_cast<Source*>(context);
        const Result<std::vector<KvKey>> found = self.roots();
        if (!found.ok()) {
          self.failure = found.error();
          return static_cast<int32_t>(found.error().code);
        }
        self.keys.clear();
        for (const KvKey& key : *found)
          self.keys.insert(self.keys.end(), key.bytes.begin(), key.bytes.end());
        *keys = self.keys.data();
        *count = static_cast<int64_t>(found->size());
        return static_cast<int32_t>(DBSA_OK);
      }};
  uint64_t freed = 0;
  const Status status = instance_->call("collect", vtable_->collect, &fetched, max_bytes, &freed);
  if (source.failure) return *source.failure;
  DBSA_RETURN_IF_ERROR(status);
  return freed;
}

Result<uint64_t> KvStore::compact() {
  uint64_t freed = 0;
  DBSA_RETURN_IF_ERROR(instance_->call("compact", vtable_->compact, &freed));
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

}  // namespace dbsa::host
