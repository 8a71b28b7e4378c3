// Files that appear under their final name only when they are whole.
//
// A file is written under a temporary name beside the final one, <name>.tmp-XXXXXX, which its
// writer keeps flock'ed. One that can be locked is left from a writer that was killed; whoever
// writes into the folder next removes it. Where a file system has no locks, nothing is taken for
// left behind.
//
// The mode of a file is 0666 less the umask, that of a folder 0777 less it. A file that is replaced
// leaves nothing of its mode to the new one.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace dbsa {

// Writes to a temporary name beside `path`, syncs file and folder, renames. Makes the folder where
// needed, and removes leftovers from it. kEnvironment, with the cause, when the disk refuses;
// nothing is left behind then.
Status write_file_atomically(const std::string& path, std::string_view bytes);
// The same of pieces, one after another.
Status write_file_atomically(const std::string& path, std::span<const std::string_view> pieces);

// The same under the first of the paths path_of(1), path_of(2), ... that no file has, all of one
// folder; returns that path. The name is taken when the file is whole, so a writer that is killed
// leaves no empty file.
Result<std::string> write_new_file(const std::function<std::string(int n)>& path_of,
                                   std::string_view bytes);

// Whether a file's name is one that the functions above give to temporary files.
bool is_temporary_name(std::string_view name);

// What killed writers left in a folder.
struct Leftovers {
  int64_t files = 0;
  uint64_t bytes = 0;
};
// is_temporary: which names are those of temporary files that their writers lock.
Leftovers count_leftovers(const std::string& folder,
                          bool (*is_temporary)(std::string_view name) = is_temporary_name);
// Returns what it has removed.
Leftovers remove_leftovers(const std::string& folder,
                           bool (*is_temporary)(std::string_view name) = is_temporary_name);

}  // namespace dbsa
