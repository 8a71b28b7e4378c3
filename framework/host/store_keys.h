// What the framework knows of a KV store's own keys: those whose role the manifest says. Their
// names are the plugin's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "host/key_role.h"
#include "host/resolve.h"

namespace dbsa::host {

struct StoreKeys {
  // Where blocks are kept between processes, as the key of role `location` says; "": nowhere.
  std::string location;
  bool is_folder = false;        // and that is a path
  std::string location_pointer;  // "/kv_store/path"; "" where the plugin has no such key
  std::string bound_pointer;     // of the key of role `bound`: "/kv_store/max_bytes", or ""

  bool keeps() const { return !location.empty(); }
  // For messages: "kv_store.path", or "the store"; "kv_store.max_bytes", or "its bound".
  std::string location_name() const;
  std::string bound_name() const;
};

// config: of the plugin, with its defaults.
StoreKeys store_keys(std::span<const KeyRole> roles, const nlohmann::json& config);
StoreKeys store_keys(const ResolvedPipeline& pipeline);

// The key of a plugin that names the folder of a KV store; nullptr where none does.
const KeyRole* folder_key(const Manifest& manifest);

}  // namespace dbsa::host
