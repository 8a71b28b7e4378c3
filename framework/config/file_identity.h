// What tells one state of a file from another, and whether an open file is still in it.
//
// A change of a file shows in its times only if the clock has ticked since the last one; so a file
// that changed just now is waited for. Not seen: what another process writes through a mapping
// before the system updates the file's times, and what a network file system has not told yet.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

namespace dbsa {

struct FileIdentity {
  uint64_t device = 0, inode = 0, bytes = 0;
  int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

// The identity of an open regular file, once a later change of it would show: waits for the clock's
// next tick (at most 20 ms; 2 s where times are whole seconds) after a change. name: for messages.
// kEnvironment when it is no regular file, or is being written for as long as that is waited for.
Result<FileIdentity> settled_identity(int descriptor, const std::string& name);

// The same as it is at this moment.
Result<FileIdentity> identity_of(int descriptor, const std::string& name);

// Whether a change of a file in that state would show from now on.
bool is_settled(const FileIdentity& identity);

// kEnvironment when an open file is no longer as it was. A file that was replaced by another under
// its name, or deleted, is. Cost: one fstat.
Status check_unchanged(int descriptor, const FileIdentity& identity, const std::string& name);

}  // namespace dbsa
