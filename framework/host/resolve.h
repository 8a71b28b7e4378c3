// A pipeline file made ready: checked as a whole, defaults filled in, plugins found, paths
// resolved. No plugin code runs until check_plugins.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/faults.h"
#include "config/toml_document.h"
#include "host/host_services.h"
#include "host/plugin_registry.h"

namespace dbsa::host {

// A plugin that a stage's own plugin opens, as one of its keys says.
struct InnerPlugin {
  std::string pointer;  // of its table: "/retriever/first"
  const Manifest* manifest = nullptr;
  nlohmann::json config;  // its own keys
};

// One stage of the pipeline, in the order of DBSA_KIND_*.
struct ResolvedStage {
  uint32_t kind = 0;
  const Manifest* manifest = nullptr;  // of the registry
  nlohmann::json config;               // the plugin's own keys, as create takes them
  std::vector<InnerPlugin> inner;      // in the order of the keys
};

struct ResolvedPipeline {
  // The whole file with every default; paths absolute; `plugin` is the full id. selection has
  // either ratio or count.
  nlohmann::json json;
  std::array<ResolvedStage, 5> stages;
  TomlDocument document;  // for the places of later faults

  const ResolvedStage& stage(uint32_t kind) const { return stages[kind - 1]; }

  // "file:line:column: retriever.k1: message" as a kConfig error. For "/data/queries" and the like.
  Error fault(std::string_view pointer, std::string_view message,
              ErrorCode code = ErrorCode::kConfig) const;
  // An error whose config_pointer leads into this pipeline (create and check_config give such)
  // with its place in front, and no pointer any more; any other error as it is.
  Error located(Error error) const;
};

// Files and folders that the pipeline names and that must be there: all, only the model's (a query
// reads no data), or none.
enum class NamedFiles { kAll, kModel, kNone };

// Checks everything that can be checked without plugin code. One error with one line for each
// fault: kConfig if any is the configuration's, else kPlugin (a plugin is missing) or kEnvironment
// (a file is missing).
Result<ResolvedPipeline> resolve_pipeline(TomlDocument document, const PluginRegistry& registry,
                                          NamedFiles files = NamedFiles::kAll);

// The plugin of a stage that a pipeline file says nothing of. kPlugin where it is not installed.
Result<const Manifest*> default_plugin(uint32_t kind, const PluginRegistry& registry);

// Lets plugins made with these services open others of the registry (dbsa_host.open_plugin). The
// registry outlives the services.
void offer_plugins(HostServices& services, PluginRegistry& registry);

// Loads every stage's plugin and lets it check its own keys. All faults at once.
Status check_plugins(const ResolvedPipeline& pipeline, PluginRegistry& registry);

}  // namespace dbsa::host
