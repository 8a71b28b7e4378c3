// Unicode properties and normalisation, from utf8proc (Unicode 15).
//
// Hugging Face's parts use tables of different ages: normalisation Unicode 9, \w Unicode 16, the
// rest 14 or 15. normalize_nfc and normalize_nfd equal theirs on every code point (newer marks are
// kept); \w equals theirs on every code point that Unicode 15 knows.
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

// What \w matches beside an added token with single_word: letters, marks, decimal digits, letter
// numbers, connector punctuation, joiners.
bool is_word_character(char32_t c);

// General category N.
bool is_number(char32_t c);

// Whether Unicode 15 assigns it a character.
bool is_assigned(char32_t c);

// Normalisation Form C by Unicode 15, so that texts that look the same compare as equal. What is
// not UTF-8 comes back as it is. O(n log n) also for long runs of combining marks.
std::string to_nfc(std::string_view text);

// Normalisation Form C of valid UTF-8, as Hugging Face's tokenizers have it. Likewise.
std::string normalize_nfc(std::string_view text);

// Normalisation Form D, likewise.
std::string normalize_nfd(std::string_view text);

// Lower case character by character, as Rust's char::to_lowercase.
std::string to_lowercase(std::string_view text);

}  // namespace dbsa
