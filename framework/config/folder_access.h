// Whether a folder can be made and written to, told before hours of work and not after them.
#pragma once

#include <string>

namespace dbsa {

// Why files cannot be written to a folder, or the folder not be made: "cannot make a/b: a cannot be
// written to: Permission denied; make it writable or name another folder". "" where they can.
std::string folder_fault(const std::string& folder);

}  // namespace dbsa
