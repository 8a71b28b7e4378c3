// LoadedPlugin: a plugin whose library is mapped and whose table was checked. A value; copy it.
#pragma once

#include <dbsa/sdk/plugin.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/key_role.h"
#include "host/kinds.h"

namespace dbsa::host {

struct LoadedPlugin {
  std::string id;            // "dbsa.retriever.bm25"
  std::string library_path;  // for messages
  // Table and vtable as this host's interface has them: what an older plugin lacks is null.
  const dbsa_plugin_table* table = nullptr;
  std::vector<std::string> config_keys = {};  // that its manifest declares
  std::vector<KeyRole> roles = {};            // of these
  // Serialises [setup] calls; one for all plugins of a registry. Recursive: a plugin's create may
  // open another plugin.
  std::shared_ptr<std::recursive_mutex> setup = std::make_shared<std::recursive_mutex>();
};

// What the plugin returns for an extension's id; nullptr: it does not have it.
const void* find_extension(const LoadedPlugin& plugin, const char* id);

}  // namespace dbsa::host
