// Manifest: what `<library>.plugin.toml` says about a plugin. Read without running plugin code.
// The fields are described in schemas/plugin_manifest.schema.json.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/key_role.h"

namespace dbsa::host {

inline constexpr std::string_view kManifestSuffix = ".plugin.toml";

struct Manifest {
  std::string id;     // "dbsa.retriever.bm25"
  uint32_t kind = 0;  // DBSA_KIND_*
  uint32_t revision = 0;
  std::string version;
  std::string summary;
  std::string description;
  std::string licence;
  uint32_t abi_major = 0;
  uint32_t abi_minor = 0;
  std::vector<std::string> needs_libraries;
  bool needs_cuda = false;
  // Of the plugin's own table: an object schema that allows no other keys.
  nlohmann::json config_schema;
  std::vector<std::string> config_keys;  // in the manifest's order
  std::vector<KeyRole> roles;            // of these keys, in order
  std::string path;                      // of the manifest
  std::string library_path;              // beside it

  std::string_view short_name() const;  // "bm25"
  // Whether results may depend on a key of the plugin's own table, such as "/k1"; false where the
  // manifest says `affects = "speed"`. For a table's key ("/first/k1") the other plugin's manifest
  // says it; here it counts as one that does.
  bool affects_results(std::string_view pointer) const;
};

// kConfig with one line for each fault, "file:line:column: ...". kEnvironment when unreadable.
Result<Manifest> load_manifest(const std::string& path);
Result<Manifest> parse_manifest(std::string_view text, std::string path);

}  // namespace dbsa::host
