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

// What the user names: the --plugin-path entries, then those of DBSA_PLUGIN_PATH (between colons).
// Absolute, without repeats.
std::vector<std::string> given_plugin_folders(std::span<const std::string> options);
// Where plugins are looked for: in those, then in ../lib/dbsa/plugins beside the program and the
// same under the installation's own library folder. Absolute, without repeats.
std::vector<std::string> plugin_search_path(std::span<const std::string> options);

// A manifest that cannot be used, and why.
struct FailedPlugin {
  std::string path;
  std::string cause;  // one or more lines
};

// A manifest that is not used, because a folder that is searched earlier has its plugin, too.
struct ShadowedPlugin {
  uint32_t kind = 0;
  std::string id;
  std::string path;
  std::string used;  // the manifest that stands before it
};

struct SearchedFolder {
  std::string path;
  bool exists = false;
  int manifests = 0;
  std::string failure;  // why it, or a part of it, could not be read
};

class PluginRegistry {
 public:
  // Reads every manifest in the folders. If several folders have a plugin, the first one's copy
  // is used; in one folder neither of two is. Runs no plugin code and never fails: a bad manifest
  // is listed in failed() and hides no other plugin. A copy of the bad one in a later folder is not
  // used: which one was meant is not ours to guess.
  static PluginRegistry discover(std::span<const std::string> folders);

  // By kind, then id. Those that are refused are not here but in failed().
  const std::vector<Manifest>& manifests() const { return manifests_; }
  const std::vector<ShadowedPlugin>& shadowed() const { return shadowed_; }
  const std::vector<FailedPlugin>& failed() const { return failed_; }
  const std::vector<SearchedFolder>& searched() const { return searched_; }

  // By full id or short name: "bm25" means dbsa.retriever.bm25 where there is one, else the only
  // other retriever whose id ends so. kind: 0 for any. kPlugin, naming what is there and every
  // folder searched. The pointer is valid as long as the registry.
  Result<const Manifest*> find(uint32_t kind, std::string_view name) const;
  // The ids that find would choose from, refused ones included; one is no ambiguity.
  std::vector<std::string> meant(uint32_t kind, std::string_view name) const;
  // What to write for a plugin: its short name where that means it, else its id.
  std::string name_of(const Manifest& manifest) const;

  // Maps the library once and checks it. [setup]
  Result<LoadedPlugin> load(const Manifest& manifest);

 private:
  struct Refused {
    uint32_t kind = 0;
    std::string cause;
  };
  void add_folder(const std::string& folder);
  Error unknown(uint32_t kind, std::string_view name) const;
  std::string places() const;
  // "; refused: <cause>" of each that may be the plugin meant by the name, else how many there are.
  std::string refused_as(std::string_view name) const;

  std::vector<Manifest> manifests_;
  std::vector<FailedPlugin> failed_;
  std::vector<ShadowedPlugin> shadowed_;
  std::map<std::string, Refused> refused_;    // by id: which of its manifests is meant is not known
  std::map<std::string, std::string> first_;  // by id: the manifest of the first folder that has it
  // Manifests that cannot be read, by the id they give and by file name.
  std::map<std::string, FailedPlugin> broken_;
  std::vector<SearchedFolder> searched_;
  std::map<std::string, LoadedPlugin> loaded_;  // by id
  std::shared_ptr<std::recursive_mutex> setup_ = std::make_shared<std::recursive_mutex>();
};

// XXH3-128 of the plugin's library file as 32 hex digits, for records.
Result<std::string> plugin_file_hash(const Manifest& manifest);

}  // namespace dbsa::host
