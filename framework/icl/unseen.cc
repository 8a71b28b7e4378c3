#include "icl/unseen.h"

#include <utf8proc.h>

#include <array>
#include <cstdio>

#include "text/utf8.h"

namespace dbsa {
namespace {

bool is_unseen(char32_t c) { return is_white_space(c) || is_invisible(c); }

// The last character of a text that is not empty.
FirstCharacter last_of(std::string_view text) {
  for (size_t bytes = 1; bytes <= 4 && bytes <= text.size(); ++bytes) {
    const std::string_view end = text.substr(text.size() - bytes);
    if (const FirstCharacter c = first_of(end); c.bytes == bytes) return c;
  }
  return {};
}

bool is_virama(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class == 9;
}

// Whether the last character of the text, an invisible one, changes how the one before it looks.
bool belongs_to_the_one_before(char32_t c, std::string_view before) {
  if (before.empty()) return false;
  if ((c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0020 && c <= 0xE01EF)) return true;
  const bool joiner = c == 0x200C || c == 0x200D;
  return joiner && is_virama(last_of(before).code);
}

}  // namespace

bool is_white_space(char32_t c) {
  return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_invisible(char32_t c) {
  return c >= 0x80 && utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->ignorable;
}

FirstCharacter first_of(std::string_view text) {
  utf8proc_int32_t code = 0;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (bytes <= 0) return {};
  return {static_cast<char32_t>(code), static_cast<size_t>(bytes)};
}

std::string_view trim_unseen(std::string_view text) {
  while (!text.empty()) {
    const FirstCharacter c = first_of(text);
    if (c.bytes == 0 || !is_unseen(c.code)) break;
    text.remove_prefix(c.bytes);
  }
  while (!text.empty()) {
    const FirstCharacter c = last_of(text);
    if (c.bytes == 0 || !is_unseen(c.code)) break;
    const std::string_view before = text.substr(0, text.size() - c.bytes);
    if (belongs_to_the_one_before(c.code, before)) break;
    text = before;
  }
  return text;
}

std::string seen_text(std::string_view text) {
  text = trim_unseen(text);
  if (utf8::find_invalid(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const FirstCharacter c = first_of(text);
    if (is_white_space(c.code)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else if (!is_invisible(c.code)) {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string unseen_names(std::string_view text) {
  std::string names;
  while (!text.empty()) {
    const FirstCharacter c = first_of(text);
    text.remove_prefix(c.bytes == 0 ? 1 : c.bytes);
    if (c.bytes < 2 || !is_unseen(c.code)) continue;
    std::array<char, 16> name = {};
    std::snprintf(name.data(), name.size(), "U+%04X", static_cast<unsigned>(c.code));
    if (names.find(name.data()) == names.npos)
      names += (names.empty() ? "" : ", ") + std::string(name.data());
  }
  return names;
}

}  // namespace dbsa
