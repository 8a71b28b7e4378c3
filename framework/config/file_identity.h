// What tells one state of a file from another.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

struct stat;

namespace dbsa {

struct FileIdentity {
  uint64_t device = 0, inode = 0, bytes = 0;
  int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct stat& info);
// The identity of an open file, or of a path, now; `path` is the name for messages. Fail with
// kEnvironment.
Result<FileIdentity> identity_of(int descriptor, const std::string& path);
Result<FileIdentity> file_identity(const std::string& path);

}  // namespace dbsa
