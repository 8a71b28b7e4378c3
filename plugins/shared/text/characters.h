// Characters of a text and what they are to the analyser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dbsa::text {

struct Character {
  int32_t code = -1;  // -1 for a byte that is not UTF-8
  size_t bytes = 1;
};

// The first character of a text that is not empty.
Character decode(std::string_view text);

void append_utf8(int32_t code, std::string& out);

// Shows nothing and parts no words: a soft hyphen, a joiner, a mark of direction, a variation
// selector. Not U+200B, which stands for a space.
bool is_ignorable(int32_t code);

// A letter, mark or digit.
bool is_word_character(int32_t code);

// Of a script that writes no spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
bool is_unspaced(int32_t code);

}  // namespace dbsa::text
