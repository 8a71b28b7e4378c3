// Which file is mapped at an address: what a SIGBUS is about, when a file was cut short, or its
// disk failed, at the moment that a byte of it was read.
#pragma once

#include <cstdint>
#include <string_view>

namespace dbsa::cli {

// The path of the file, control characters as '?'; "" where there is none. For signal handlers: no
// memory is taken, and the text stays until the next call.
std::string_view mapped_file_at(uintptr_t address);

}  // namespace dbsa::cli
