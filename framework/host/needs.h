// What a manifest says its plugin needs of the machine ([needs]).
#pragma once

#include <dbsa/sdk/result.h>

#include "host/manifest.h"

namespace dbsa::host {

// kEnvironment with the reason where this machine has no CUDA device and the plugin needs one. Runs
// no code of the plugin. Libraries that are missing show when the plugin is loaded.
Status check_needs(const Manifest& manifest);

}  // namespace dbsa::host
