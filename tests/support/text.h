// Looks at texts that programs write.
#pragma once

#include <cstddef>
#include <string_view>

namespace dbsa {

// How often `part` is in `text`, overlaps included.
inline size_t count_of(std::string_view text, std::string_view part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace dbsa
