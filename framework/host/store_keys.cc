#include "host/store_keys.h"

#include <nlohmann/json.hpp>

#include "config/json_pointer.h"
#include "host/kinds.h"
#include "host/manifest.h"

namespace dbsa::host {

std::string StoreKeys::location_name() const {
  return location_pointer.empty() ? "the store" : dotted_name(location_pointer);
}

std::string StoreKeys::bound_name() const {
  return bound_pointer.empty() ? "its bound" : dotted_name(bound_pointer);
}

StoreKeys store_keys(std::span<const KeyRole> roles, const nlohmann::json& config) {
  StoreKeys keys;
  const std::string table = "/" + std::string(kind_name(DBSA_KIND_KV_STORE));
  for (const KeyRole& role : roles) {
    const std::string pointer = append_pointer(table, role.key);
    if (role.role == kBoundRole) keys.bound_pointer = pointer;
    if (role.role != kLocationRole) continue;
    keys.location_pointer = pointer;
    keys.location = config.value(role.key, "");
    keys.is_folder = role.is_path;
  }
  return keys;
}

StoreKeys store_keys(const ResolvedPipeline& pipeline) {
  const ResolvedStage& stage = pipeline.stage(DBSA_KIND_KV_STORE);
  return store_keys(stage.manifest->roles, stage.config);
}

const KeyRole* folder_key(const Manifest& manifest) {
  for (const KeyRole& role : manifest.roles)
    if (role.role == kLocationRole && role.is_path) return &role;
  return nullptr;
}

}  // namespace dbsa::host
