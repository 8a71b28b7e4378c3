// PluginRegistry: which plugins are there, found by their manifests, and loading them.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/loaded_plugin.h"
#include "host/manifest.h"

namespace dbsa::host {

// Where plugins are looked for: the --plugin-path entries, then those of DBSA_PLUGIN_PATH (between
// colons), then ../lib/dbsa/plugins beside the program and the same under the installation's own
// library folder. Absolute, without repeats.
std::vector<std::string> plugin_search_path(std::span<const std::string> options);

// A manifest that cannot be used, and why.
struct FailedPlugin {
  std::string path;
  std::string cause;  // one or more lines
};

struct SearchedFolder {
  std::string path;
  bool exists = false;
  int manifests = 0;
  std::string failure;  // why it, or a part of it, could not be read
};

class PluginRegistry {
 public:
  // Reads every manifest in the folders. Runs no plugin code and never fails: a bad manifest is
  // listed in failed() and hides no other.
  static PluginRegistry discover(std::span<const std::string> folders);

  // By kind, then id. Those whose id another one has too are not here but in failed().
  const std::vector<Manifest>& manifests() const { return manifests_; }
  const std::vector<FailedPlugin>& failed() const { return failed_; }
  const std::vector<SearchedFolder>& searched() const { return searched_; }

  // By short name ("bm25") or full id. kPlugin, naming what is there and every folder searched.
  // The pointer is valid as long as the registry.
  Result<const Manifest*> find(uint32_t kind, std::string_view name) const;

  // Maps the library once and checks it. [setup]
  Result<LoadedPlugin> load(const Manifest& manifest);

 private:
  Error unknown(uint32_t kind, std::string_view name) const;
  std::string places() const;

  std::vector<Manifest> manifests_;
  std::vector<FailedPlugin> failed_;
  std::map<std::string, std::string> twins_;  // id -> why it cannot be used
  std::vector<SearchedFolder> searched_;
  std::map<std::string, LoadedPlugin> loaded_;  // by id
  std::shared_ptr<std::recursive_mutex> setup_ = std::make_shared<std::recursive_mutex>();
};

// XXH3-128 of the plugin's library file as 32 hex digits, for records.
Result<std::string> plugin_file_hash(const Manifest& manifest);

}  // namespace dbsa::host
