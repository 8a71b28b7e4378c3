// Whether a file is a whole shared library for this machine, judged by its headers. The dynamic
// loader maps what the headers say and reads it; if the file was cut short, that ends the process
// (SIGBUS).
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa::host {

// kPlugin, without the path, for what is no library or not all of one: "expected a shared library,
// found an empty file; ...". kEnvironment, with it, when the file cannot be read. Reads the headers
// of segments and sections: some kilobytes.
Status check_shared_library(const std::string& path);

}  // namespace dbsa::host
