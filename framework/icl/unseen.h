// Characters that show nothing: white space in Unicode's sense (U+00A0, U+3000, ...), and invisible
// ones (U+200B, the soft hyphen, marks of direction, byte order marks, ...). Texts that differ only
// in them look the same.
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

bool is_white_space(char32_t c);
bool is_invisible(char32_t c);

// Without them at its ends. What belongs to the character before it stays: variation selectors,
// tags, and joiners behind a virama. What is not UTF-8 is never removed. Cost: O(removed).
std::string_view trim_unseen(std::string_view text);

// Without invisible ones, runs of white space as one space, trimmed; what is not UTF-8 only
// trimmed.
std::string seen_text(std::string_view text);

// "U+00A0, U+200B": each of them in the text once, ASCII's not.
std::string unseen_names(std::string_view text);

// The first character of a text that is not empty and its bytes; 0 bytes where there is none.
struct FirstCharacter {
  char32_t code = 0;
  size_t bytes = 0;
};
FirstCharacter first_of(std::string_view text);

}  // namespace dbsa
