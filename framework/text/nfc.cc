#include "text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

namespace dbsa {
namespace {

int mark_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// utf8proc orders marks by exchanging neighbours, which is quadratic in a run of them.
void order_marks(std::vector<utf8proc_int32_t>& characters) {
  for (auto begin = characters.begin(); begin != characters.end();) {
    const auto end =
        std::find_if(begin, characters.end(), [](auto c) { return mark_class(c) == 0; });
    std::stable_sort(begin, end, [](auto a, auto b) { return mark_class(a) < mark_class(b); });
    begin = end == characters.end() ? end : end + 1;
  }
}

}  // namespace

std::string to_nfc(std::string_view text) {
  const bool ascii = std::all_of(text.begin(), text.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return std::string(text);
  std::vector<utf8proc_int32_t> characters;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (auto left = static_cast<utf8proc_ssize_t>(text.size()); left > 0;) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t bytes = utf8proc_iterate(at, left, &code);
    if (bytes <= 0) return std::string(text);
    std::array<utf8proc_int32_t, 32> parts;
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        code, parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    characters.insert(characters.end(), parts.begin(), parts.begin() + count);
    at += bytes;
    left -= bytes;
  }
  order_marks(characters);
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  std::string out;
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const utf8proc_ssize_t count =
        utf8proc_encode_char(characters[static_cast<size_t>(i)], bytes.data());
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(count));
  }
  return out;
}

}  // namespace dbsa
