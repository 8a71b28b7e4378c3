// Finds a bad plugin by name and shortens its folder in messages to <plugins>.
#pragma once

#include <filesystem>
#include <string>

#include "host/plugin_registry.h"

namespace dbsa::host {

inline std::string shortened(std::string text) {
  const std::string folder = std::filesystem::weakly_canonical(DBSA_BAD_PLUGIN_DIR).string();
  for (size_t at; (at = text.find(folder)) != std::string::npos;)
    text.replace(at, folder.size(), "<plugins>");
  return text;
}

inline PluginRegistry& bad_plugins() {
  static const std::string folder = DBSA_BAD_PLUGIN_DIR;
  static PluginRegistry registry = PluginRegistry::discover({&folder, 1});
  return registry;
}

inline Result<LoadedPlugin> load_bad(uint32_t kind, const std::string& name) {
  DBSA_ASSIGN_OR_RETURN(const Manifest* manifest, bad_plugins().find(kind, name));
  return bad_plugins().load(*manifest);
}

}  // namespace dbsa::host
