// LoadedPlugin: a plugin whose library is mapped and whose table was checked. A value; copy it.
#pragma once

#include <dbsa/sdk/plugin.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::host {

// "retriever" for DBSA_KIND_RETRIEVER, also the stage's name in a pipeline file; "" if unknown.
std::string_view kind_name(uint32_t kind);
// DBSA_KIND_* for a name; 0 if unknown.
uint32_t kind_from_name(std::string_view name);

struct LoadedPlugin {
  std::string id;            // "dbsa.retriever.bm25"
  std::string library_path;  // for messages
  const dbsa_plugin_table* table = nullptr;
  std::vector<std::string> config_keys = {};  // that its manifest declares
  // Serialises [setup] calls; one for all plugins of a registry. Recursive: a plugin's create may
  // open another plugin.
  std::shared_ptr<std::recursive_mutex> setup = std::make_shared<std::recursive_mutex>();
};

// What the plugin returns for an extension's id; nullptr: it does not have it.
const void* find_extension(const LoadedPlugin& plugin, const char* id);

}  // namespace dbsa::host
