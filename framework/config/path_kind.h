// What a path leads to. That the system cannot tell, for want of a permission or because a disk
// fails, is not the same as nothing being there.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa {

enum class PathKind { kNothing, kFile, kFolder, kOther };

// Links are followed. kEnvironment when the system cannot tell.
Result<PathKind> path_kind(const std::string& path);

}  // namespace dbsa
