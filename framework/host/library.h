// Maps a plugin's library and checks its table. Boost.DLL is used behind this header only.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "host/loaded_plugin.h"
#include "host/manifest.h"

namespace dbsa::host {

// Loads the library of a manifest, with all symbols bound and none shown to other libraries. It
// stays mapped until the process ends. kPlugin, with the loader's own words and what to do, when
// anything about it is not as the manifest and dbsa/plugin.h say.
Result<LoadedPlugin> load_library(const Manifest& manifest);

// Checks a table against a manifest: size, magic, interface version, kind, revision, functions.
Status check_table(const Manifest& manifest, const dbsa_plugin_table& table);

// The folder of the running program.
std::string program_directory();

}  // namespace dbsa::host
