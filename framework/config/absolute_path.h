// A path that does not depend on the current folder.
#pragma once

#include <filesystem>
#include <string>

namespace dbsa {

// Without "." and "..", and without following links. A relative path stays one where the current
// folder was removed: what is done with it fails then, with the system's words.
std::string absolute_path(const std::filesystem::path& path);

}  // namespace dbsa
