#include "plugins/shared/text/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "plugins/shared/text/analyzer.h"

namespace dbsa::text {
namespace {

struct Range {
  int32_t first, last;
};

// Blocks of Unicode, sorted.
constexpr Range kUnspaced[] = {
    {0x0E01, 0x0E7F},    // Thai
    {0x0E81, 0x0EFF},    // Lao
    {0x1000, 0x109F},    // Myanmar
    {0x1780, 0x17FF},    // Khmer
    {0x3005, 0x3007},    // ideographic iteration, closing mark and zero
    {0x3041, 0x30FF},    // Hiragana, Katakana
    {0x31F0, 0x31FF},    // Katakana phonetic extensions
    {0x3400, 0x4DBF},    // CJK extension A
    {0x4E00, 0x9FFF},    // CJK
    {0xF900, 0xFAFF},    // CJK compatibility
    {0xFF66, 0xFF9F},    // halfwidth Katakana
    {0x20000, 0x323AF},  // CJK extensions B to H
};

int mark_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

}  // namespace

Character decode(std::string_view text) {
  if (const auto byte = static_cast<unsigned char>(text[0]); byte < 0x80) return {byte, 1};
  int32_t code = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (bytes <= 0) return {};
  return {code, static_cast<size_t>(bytes)};
}

void append_utf8(int32_t code, std::string& out) {
  uint8_t bytes[4];
  const auto count = utf8proc_encode_char(code, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
}

bool is_ignorable(int32_t code) {
  return code >= 0x80 && code != 0x200B && utf8proc_get_property(code)->ignorable;
}

bool is_word_character(int32_t code) {
  if (code < 0x80)
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
           (code >= '0' && code <= '9');
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool is_unspaced(int32_t code) {
  if (code < kUnspaced[0].first) return false;
  const auto* range =
      std::lower_bound(std::begin(kUnspaced), std::end(kUnspaced), code,
                       [](const Range& r, int32_t wanted) { return r.last < wanted; });
  return range != std::end(kUnspaced) && code >= range->first;
}

std::string to_nfc(std::string word) {
  std::vector<utf8proc_int32_t> characters;
  for (std::string_view rest = word; !rest.empty();) {
    const Character c = decode(rest);
    if (c.code < 0) return word;
    std::array<utf8proc_int32_t, 32> parts;
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        c.code, parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    characters.insert(characters.end(), parts.begin(), parts.begin() + count);
    rest.remove_prefix(c.bytes);
  }
  // utf8proc orders marks by exchanging neighbours, which is quadratic in a run of them.
  for (auto begin = characters.begin(); begin != characters.end();) {
    const auto end =
        std::find_if(begin, characters.end(), [](auto c) { return mark_class(c) == 0; });
    std::stable_sort(begin, end, [](auto a, auto b) { return mark_class(a) < mark_class(b); });
    begin = end == characters.end() ? end : end + 1;
  }
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  std::string out;
  for (utf8proc_ssize_t i = 0; i < length; ++i)
    append_utf8(characters[static_cast<size_t>(i)], out);
  return out;
}

}  // namespace dbsa::text
