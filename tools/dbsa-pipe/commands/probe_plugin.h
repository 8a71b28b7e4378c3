// Whether a plugin can be used: its library is loaded and checked as `run` would, in a separate
// process, so that one which crashes there, or ends the program, is an answer, too.
#pragma once

#include <dbsa/sdk/result.h>

#include "host/plugin_registry.h"

namespace dbsa::cli {

// Why the plugin cannot be used; kPlugin where that is the plugin's fault. Started while the
// program has one thread.
Status probe_plugin(host::PluginRegistry& registry, const host::Manifest& manifest);

}  // namespace dbsa::cli
