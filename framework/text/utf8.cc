#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace dbsa::utf8 {
namespace {

struct Character {
  size_t length;  // bytes of the character, or of the ill-formed part
  bool valid;
};

// Second bytes of a character have tighter bounds after some first bytes: no overlong forms, no
// surrogates, nothing above U+10FFFF.
Character character_at(std::string_view text, size_t pos) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(pos);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const size_t wanted = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < wanted; ++i) {
    if (pos + i >= text.size()) return {i, false};
    const unsigned char byte = at(pos + i);
    const bool ok = i == 1 ? byte >= low && byte <= high : byte >= 0x80 && byte <= 0xBF;
    if (!ok) return {i, false};
  }
  return {wanted, true};
}

}  // namespace

std::optional<size_t> find_invalid(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    if (pos + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + pos, 8);
      if ((word & 0x8080808080808080u) == 0) {
        pos += 8;
        continue;
      }
    }
    const Character s = character_at(text, pos);
    if (!s.valid) return pos;
    pos += s.length;
  }
  return std::nullopt;
}

char32_t next(std::string_view text, size_t& pos) {
  const auto at = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  const char32_t first = at(pos);
  if (first < 0x80) {
    pos += 1;
    return first;
  }
  if (first < 0xE0) {
    pos += 2;
    return (first & 0x1F) << 6 | (at(pos - 1) & 0x3F);
  }
  if (first < 0xF0) {
    pos += 3;
    return (first & 0x0F) << 12 | (at(pos - 2) & 0x3F) << 6 | (at(pos - 1) & 0x3F);
  }
  pos += 4;
  return (first & 0x07) << 18 | (at(pos - 3) & 0x3F) << 12 | (at(pos - 2) & 0x3F) << 6 |
         (at(pos - 1) & 0x3F);
}

void append(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string to_valid(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t pos = 0; pos < bytes.size();) {
    const Character s = character_at(bytes, pos);
    if (s.valid) {
      out.append(bytes, pos, s.length);
    } else {
      out += "\xEF\xBF\xBD";
    }
    pos += s.length;
  }
  return out;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace dbsa::utf8
