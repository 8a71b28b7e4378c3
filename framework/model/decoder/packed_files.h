// The folder in which this machine keeps packed weights (packed_weights.h), of all models. It is a
// cache: any file in it may be removed at any time, also while a program uses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dbsa {

// <default_cache_folder()>/weights; "" where that is no folder and none can be made.
std::string packed_weights_folder();

// What the files of a folder of packed weights may take together. The file that is written last
// stays even if it is larger.
inline constexpr uint64_t kMaxPackedBytes = uint64_t{64} << 30;

struct PackedFile {
  std::string path;
  uint64_t bytes = 0;
  int64_t used_ns = 0;  // last read or written, as exactly as the file system notes that
};

// The files of a folder, least recently used first; others in it are not listed. None where there
// is no such folder.
std::vector<PackedFile> packed_files(const std::string& folder);

// Removes files, least recently used first, until those that stay and `bytes` more take at most
// `max_bytes`; never the one at `path`, which `bytes` are written to.
void make_packed_room(const std::string& folder, const std::string& path, uint64_t bytes,
                      uint64_t max_bytes = kMaxPackedBytes);

}  // namespace dbsa
