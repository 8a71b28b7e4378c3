// Unicode properties and normalisation (utf8proc, Unicode 15).
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

// What \w matches: letters, marks, decimal digits, letter numbers, connector punctuation, joiners.
bool is_word_character(char32_t c);

// General category N.
bool is_number(char32_t c);

// Normalisation Form C of valid UTF-8. O(n log n) also for long runs of combining marks.
std::string normalize_nfc(std::string_view text);

}  // namespace dbsa
