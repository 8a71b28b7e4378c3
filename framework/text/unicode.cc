#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace dbsa {
namespace {

// Alphabetic by the property Other_Alphabetic, though of category So: circled and squared letters.
bool is_circled_letter(char32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

// Marks and letters that utf8proc orders, takes apart or composes and the reference does not: they
// came after Unicode 9, whose normalisation tables Hugging Face uses. Sorted.
constexpr std::pair<char32_t, char32_t> kNewerThanReference[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
    {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27},
    {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
    {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}};

bool is_newer_than_reference(char32_t c) {
  const auto* range =
      std::lower_bound(std::begin(kNewerThanReference), std::end(kNewerThanReference), c,
                       [](const auto& r, char32_t x) { return r.second < x; });
  return range != std::end(kNewerThanReference) && c >= range->first;
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// Nothing below U+0300 composes with what stands before it.
bool is_trivially_nfc(std::string_view text) {
  for (size_t pos = 0; pos < text.size();)
    if (utf8::next(text, pos) >= 0x300) return false;
  return true;
}

// utf8proc sorts combining marks by exchanging neighbours, which is quadratic in a run; here runs
// are sorted first, so that its own pass finds nothing to do.
void sort_marks(std::vector<utf8proc_int32_t>& characters) {
  for (size_t i = 0; i < characters.size();) {
    size_t end = i;
    while (end < characters.size() && combining_class(characters[end]) != 0) ++end;
    std::stable_sort(characters.begin() + static_cast<ptrdiff_t>(i),
                     characters.begin() + static_cast<ptrdiff_t>(end),
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    i = std::max(end, i + 1);
  }
}

// Appends the decomposed characters, which are taken, in canonical order.
void order_into(std::vector<utf8proc_int32_t>& characters, std::string& out) {
  sort_marks(characters);
  for (const utf8proc_int32_t c : characters) utf8::append(out, static_cast<char32_t>(c));
  characters.clear();
}

// Appends their composition instead.
void compose_into(std::vector<utf8proc_int32_t>& characters, std::string& out) {
  sort_marks(characters);
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  characters.resize(static_cast<size_t>(std::max<utf8proc_ssize_t>(length, 0)));
  for (const utf8proc_int32_t c : characters) utf8::append(out, static_cast<char32_t>(c));
  characters.clear();
}

// Takes a text apart; `finish` writes each stretch that is ordered as a whole: all of it, or what
// the reference takes for one.
template <typename Finish>
std::string normalize(std::string_view text, bool as_reference, const Finish& finish) {
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> characters;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = utf8::next(text, pos);
    if (as_reference && is_newer_than_reference(c)) {
      finish(characters, out);
      utf8::append(out, c);
      continue;
    }
    std::array<utf8proc_int32_t, 32> parts;
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    characters.insert(characters.end(), parts.begin(), parts.begin() + count);
  }
  finish(characters, out);
  return out;
}

// Whether all of it is ASCII, which no normalisation changes.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

bool is_word_character(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
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
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || is_circled_letter(c);
  }
}

bool is_number(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}

bool is_assigned(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) != UTF8PROC_CATEGORY_CN;
}

std::string normalize_nfc(std::string_view text) {
  return is_trivially_nfc(text) ? std::string(text) : normalize(text, true, compose_into);
}

std::string to_nfc(std::string_view text) {
  const bool as_it_is = utf8::find_invalid(text).has_value() || is_trivially_nfc(text);
  return as_it_is ? std::string(text) : normalize(text, false, compose_into);
}

std::string normalize_nfd(std::string_view text) {
  return is_ascii(text) ? std::string(text) : normalize(text, true, order_into);
}

std::string to_lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = utf8::next(text, pos);
    const utf8proc_int32_t lower = utf8proc_tolower(static_cast<utf8proc_int32_t>(c));
    utf8::append(out, static_cast<char32_t>(lower));
    if (c == 0x130) utf8::append(out, 0x307);  // the one that becomes two
  }
  return out;
}

}  // namespace dbsa
