// The hdf5 store in a test's workspace, opened beside the engine that uses it.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/kv_store.h"
#include "host/plugin_registry.h"
#include "tests/support/workspace.h"

namespace dbsa {

class WorkspaceStore {
 public:
  WorkspaceStore(const Workspace& workspace, const std::string& path)
      : registry_(host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR})) {
    const auto manifest = registry_.find(DBSA_KIND_KV_STORE, "hdf5");
    const auto plugin = registry_.load(**manifest);
    auto store = host::KvStore::create(*plugin, services_,
                                       {{"path", workspace.path(path)},
                                        {"max_bytes", 0},
                                        {"pack_bytes", 1 << 28},
                                        {"publish_interval_s", 10}});
    if (!store.ok()) throw std::runtime_error(store.error().message);
    store_ = std::move(store).value();
  }

  host::KvStore* operator->() { return &*store_; }

 private:
  host::HostServices services_;
  host::PluginRegistry registry_;
  std::optional<host::KvStore> store_;
};

}  // namespace dbsa
