#include "terminal/visible_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "text/utf8.h"

namespace dbsa::cli {
namespace {

// Bytes of the character that begins here, and the character; 0 bytes where none does.
struct Character {
  size_t bytes = 0;
  char32_t code = 0;
};

Character first_character(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text.front());
  const size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const std::string_view all = text.substr(0, bytes);
  if (all.size() < bytes || utf8::find_invalid(all)) return {};
  char32_t code = bytes == 1 ? lead : lead & (0x7FU >> bytes);
  for (const char c : all.substr(1)) code = code << 6 | (static_cast<uint8_t>(c) & 0x3FU);
  return {bytes, code};
}

bool drives_a_terminal(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

// How many bytes of printable ASCII come first: most texts are nothing else.
size_t plain_length(std::string_view text) {
  const auto* const end =
      std::find_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7E; });
  return static_cast<size_t>(end - text.begin());
}

void append_code(std::string& out, const char* form, unsigned value) {
  std::array<char, 8> code = {};
  std::snprintf(code.data(), code.size(), form, value);
  out += code.data();
}

std::string shown(std::string_view text, bool keeps_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t plain = plain_length(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const Character next = first_character(text);
    if (next.bytes == 0)
      append_code(out, "\\x%02x", static_cast<uint8_t>(text.front()));
    else if (!drives_a_terminal(next.code))
      out += text.substr(0, next.bytes);
    else if (next.code == '\n' || next.code == '\t')
      out += keeps_lines ? text.substr(0, 1) : next.code == '\n' ? "\\n" : "\\t";
    else
      append_code(out, next.code < 0x20 ? "\\x%02x" : "\\u%04x", next.code);
    text.remove_prefix(next.bytes == 0 ? 1 : next.bytes);
  }
  return out;
}

}  // namespace

std::string visible_text(std::string_view text) { return shown(text, false); }
std::string visible_lines(std::string_view text) { return shown(text, true); }

}  // namespace dbsa::cli
