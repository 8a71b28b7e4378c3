// Unicode normalisation form C, so that texts that look the same compare as equal.
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

// `text`, valid UTF-8, in form C; what is not UTF-8 comes back as it is. Cost: O(n log n), O(n) for
// ASCII.
std::string to_nfc(std::string_view text);

}  // namespace dbsa
