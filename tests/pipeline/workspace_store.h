// The hdf5 store in a test's workspace, opened beside the pipeline that uses it.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/kv_store.h"
#include "host/plugin_registry.h"
#include "pipeline/pool/stored_pool.h"
#include "tests/support/workspace.h"

namespace dbsa {

class WorkspaceStore {
 public:
  WorkspaceStore(const Workspace& workspace, const std::string& path)
      : WorkspaceStore(workspace.path(path)) {}
  explicit WorkspaceStore(const std::string& folder)
      : registry_(host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR})) {
    const auto manifest = registry_.find(DBSA_KIND_KV_STORE, "hdf5");
    const auto plugin = registry_.load(**manifest);
    auto store = host::KvStore::create(
        *plugin, services_,
        {{"path", folder}, {"max_bytes", 0}, {"pack_bytes", 1 << 28}, {"publish_interval_s", 10}});
    if (!store.ok()) throw std::runtime_error(store.error().message);
    store_ = std::move(store).value();
  }

  // Where it has just one; throws otherwise.
  Pool only_pool() const {
    Result<std::vector<StoredPool>> all = stored_pools(*store_);
    if (!all.ok() || all->size() != 1) throw std::runtime_error("not one pool");
    return std::move(all->front().pool).value();
  }
  host::KvStore* operator->() { return &*store_; }
  host::KvStore& operator*() { return *store_; }

 private:
  host::HostServices services_;
  host::PluginRegistry registry_;
  std::optional<host::KvStore> store_;
};

// The pool that an encoding has stored at `location`, "<store>/pools/<id>.pool".
inline Result<Pool> read_stored_pool(const std::string& location) {
  const std::filesystem::path file(location);
  WorkspaceStore store(file.parent_path().parent_path().string());
  DBSA_ASSIGN_OR_RETURN(StoredPool stored, get_pool(*store, file.stem().string()));
  return std::move(stored.pool);
}

}  // namespace dbsa
