// UTF-8: validation, decoding, encoding. Other functions of this folder assume valid text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dbsa::utf8 {

// Offset of the first byte that starts no valid character (surrogates and overlong forms are
// invalid), or nothing if all of the text is valid.
std::optional<size_t> find_invalid(std::string_view text);

// The character at `pos`, which is moved past it. Valid UTF-8 only.
char32_t next(std::string_view text, size_t& pos);

// Bytes of the character whose first byte this is. Valid UTF-8 only.
inline size_t length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

void append(std::string& out, char32_t c);

// `bytes` with every maximal ill-formed part replaced by U+FFFD (Unicode 15, section 3.9; the same
// number of marks as Rust's from_utf8_lossy).
std::string to_valid(std::string_view bytes);

// The White_Space property.
bool is_white_space(char32_t c);

}  // namespace dbsa::utf8
