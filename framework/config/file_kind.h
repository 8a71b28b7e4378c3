// What a file is that was named where a text file was expected.
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

// "expected UTF-8 text, found a gzip archive; unpack it, e.g. with gunzip", by the first bytes of a
// file; "" where they are of no kind that is known: UTF-16 and UTF-32, archives, tables in binary
// form, pictures, pages of HTML. Cost: a look at kKindBytes.
std::string foreign_kind_fault(std::string_view start);

inline constexpr size_t kKindBytes = 4096;

}  // namespace dbsa
