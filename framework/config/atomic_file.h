// Files that appear under their final name only when they are whole.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>
#include <string_view>

namespace dbsa {

// Writes to a temporary name beside `path`, syncs file and directory, renames. Makes the folder
// where needed. kEnvironment, with the cause, when the disk refuses; nothing is left behind then.
Status write_file_atomically(const std::string& path, std::string_view bytes);
// The same of pieces, one after another.
Status write_file_atomically(const std::string& path, std::span<const std::string_view> pieces);

}  // namespace dbsa
