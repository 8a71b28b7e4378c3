// Reads files that others wrote. Only regular files are read: a pipe, a device, a socket or a
// folder is an error at once, so that no name in a configuration can make the program wait or read
// for ever.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>

#include "config/file_identity.h"

namespace dbsa {

struct FileText {
  std::string text;
  FileIdentity identity;  // of the file while it held this text
};

// The whole file. kNotFound when there is none; kEnvironment, with the cause, when it is not a
// regular file, has more than `max_bytes`, cannot be read, is a Git LFS pointer, or is being
// written: it is read again when it changed meanwhile, three times in all.
Result<FileText> read_file(const std::string& path, uint64_t max_bytes);

// The last `bytes` of a file as it is now, all of it where it is shorter. Errors as above.
Result<std::string> read_file_end(const std::string& path, uint64_t bytes);

}  // namespace dbsa
