// The process exit code that an error means.
#pragma once

#include <dbsa/sdk/result.h>

namespace dbsa {

// 2 configuration, 3 plugin, 4 environment (missing file, memory, disk), 5 run, 130 cancelled.
// A finished run is 0.
int exit_code(ErrorCode code);

}  // namespace dbsa
