#include "commands/store_target.h"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "config/absolute_path.h"
#include "config/path_kind.h"
#include "config/schema_check.h"
#include "host/resolve.h"
#include "host/store_keys.h"
#include "session.h"

namespace dbsa::cli {

namespace fs = std::filesystem;

namespace {

// A plugin's own table with nothing but its defaults.
nlohmann::json default_config(const host::Manifest& manifest, nlohmann::json config) {
  apply_defaults(manifest.config_schema, config);
  return config;
}

Error no_store(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kEnvironment,
               path + ": " + what +
                   "; expected the folder of a KV store (kv_store.path) or a "
                   "pipeline file",
               ""};
}

}  // namespace

Status StoreTarget::open_folder(const std::string& path) {
  path_ = absolute_path(path);
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  for (const host::Manifest& manifest : registry_.manifests()) {
    const host::KeyRole* const folder = host::folder_key(manifest);
    if (folder == nullptr) continue;
    DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin plugin, registry_.load(manifest));
    DBSA_ASSIGN_OR_RETURN(
        host::KvStore store,
        host::KvStore::create(plugin, services_, default_config(manifest, {{folder->key, path_}})));
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, store.stats());
    if (stats.location == nullptr) continue;  // nothing is made, or cleaned, where no store was
    store_ = std::move(store);
    return {};
  }
  return no_store(path, "not a KV store: it has neither blocks nor pools");
}

Status StoreTarget::open_pipeline(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(TomlDocument document, TomlDocument::load(path));
  DBSA_ASSIGN_OR_RETURN(
      const host::ResolvedPipeline resolved,
      host::resolve_pipeline(std::move(document), registry_, host::NamedFiles::kNone));
  const host::StoreKeys keys = host::store_keys(resolved);
  path_ = keys.location;
  output_directory_ = resolved.json.at("output").value("directory", "");
  if (!keys.keeps())
    return resolved.fault("/kv_store/plugin",
                          "this store is not kept between runs, so there is nothing to work on");
  if (keys.is_folder) {
    DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path_));
    if (kind != PathKind::kFolder)
      return resolved.fault(keys.location_pointer,
                            "no such folder " + path_ + "; `dbsa-pipe encode` makes it",
                            ErrorCode::kEnvironment);
  }
  const host::ResolvedStage& stage = resolved.stage(DBSA_KIND_KV_STORE);
  DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin plugin, registry_.load(*stage.manifest));
  Result<host::KvStore> store = host::KvStore::create(plugin, services_, stage.config);
  if (!store.ok()) return resolved.located(std::move(store).error());
  store_ = std::move(store).value();
  backend_ = resolved.stage(DBSA_KIND_ATTENTION_BACKEND).manifest;
  backend_config_ = resolved.stage(DBSA_KIND_ATTENTION_BACKEND).config;
  return {};
}

Result<std::unique_ptr<StoreTarget>> StoreTarget::open(const CommandLine& line,
                                                       Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(host::HostOptions options, host_options(line, terminal));
  DBSA_ASSIGN_OR_RETURN(host::PluginRegistry registry, discover_plugins(line));
  warn_of_refused_plugins(line, registry, terminal);
  std::unique_ptr<StoreTarget> target(new StoreTarget(std::move(options), std::move(registry)));
  const std::string path = line.text("STORE");
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path));
  if (kind == PathKind::kNothing) return no_store(path, "no such file or folder");
  DBSA_RETURN_IF_ERROR(kind == PathKind::kFolder ? target->open_folder(path)
                                                 : target->open_pipeline(path));
  return target;
}

Result<std::vector<KvEntry>> StoreTarget::entries() const {
  std::vector<KvEntry> entries;
  DBSA_RETURN_IF_ERROR(store_->list([&](const KvEntry& entry) {
    entries.push_back(entry);
    return true;
  }));
  std::sort(entries.begin(), entries.end(), [](const KvEntry& a, const KvEntry& b) {
    return std::tie(a.created_unix_s, a.key) < std::tie(b.created_unix_s, b.key);
  });
  return entries;
}

Result<host::AttentionBackend> StoreTarget::open_backend(const dbsa_kv_format& format) {
  if (backend_ == nullptr) {
    DBSA_ASSIGN_OR_RETURN(backend_, host::default_plugin(DBSA_KIND_ATTENTION_BACKEND, registry_));
    backend_config_ = default_config(*backend_, nlohmann::json::object());
  }
  DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin plugin, registry_.load(*backend_));
  DBSA_ASSIGN_OR_RETURN(host::AttentionBackend backend,
                        host::AttentionBackend::create(plugin, services_, backend_config_));
  // Blocks are only converted, so what concerns queries and rotation may be anything valid.
  const std::vector<float> inv_freq(format.head_dim / 2, 1.0F);
  dbsa_attention_shape shape = {};
  shape.struct_size = sizeof shape;
  shape.layers = static_cast<int32_t>(format.layers);
  shape.query_heads = static_cast<int32_t>(format.kv_heads);
  shape.kv_heads = static_cast<int32_t>(format.kv_heads);
  shape.head_dim = static_cast<int32_t>(format.head_dim);
  shape.compute = DBSA_COMPUTE_F32;
  shape.kv_dtype = format.dtype;
  dbsa_attention_type type = {};
  type.struct_size = sizeof type;
  type.scale = 1.0F;
  type.inv_freq = inv_freq.data();
  shape.type_count = 1;
  shape.types = &type;
  DBSA_RETURN_IF_ERROR(backend.configure(shape));
  return backend;
}

std::string layout_name(uint32_t layout) {
  if (layout == DBSA_KV_LAYOUT_TOKEN_MAJOR) return "token_major";
  if (layout == DBSA_KV_LAYOUT_CPU_PANELS) return "cpu_panels";
  return std::to_string(layout);
}

}  // namespace dbsa::cli
