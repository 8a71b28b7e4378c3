// Makes the plugin of a stage.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"

namespace dbsa::host {

// Wrapper: BlockGrouper, MaskPattern, Retriever, KvStore or AttentionBackend, of that kind. A
// kConfig error that names no key of the plugin's own points to the stage's `plugin`.
template <typename Wrapper>
Result<Wrapper> make_plugin(const ResolvedPipeline& resolved, uint32_t kind,
                            PluginRegistry& registry, HostServices& services) {
  const ResolvedStage& stage = resolved.stage(kind);
  DBSA_ASSIGN_OR_RETURN(const LoadedPlugin loaded, registry.load(*stage.manifest));
  Result<Wrapper> made = Wrapper::create(loaded, services, stage.config);
  if (made.ok() || made.error().code != ErrorCode::kConfig || !made.error().config_pointer.empty())
    return made;
  Error error = made.error();
  error.config_pointer = "/" + std::string(kind_name(kind)) + "/plugin";
  return error;
}

}  // namespace dbsa::host
