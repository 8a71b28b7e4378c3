#include "text/utf8.h"

#include <gtest/gtest.h>

namespace dbsa {
namespace {

using namespace std::string_literals;

TEST(Utf8, InvalidBytesAreFoundAtTheirOffset) {
  const struct {
    std::string text;
    size_t offset;
  } cases[] = {
      {"\x80", 0},              // continuation without a start
      {"ab\xC3", 2},            // cut off
      {"ab\xC3(", 2},           // not continued
      {"\xC0\x80", 0},          // overlong
      {"\xE0\x9F\xBF", 0},      // overlong
      {"\xF0\x8F\xBF\xBF", 0},  // overlong
      {"x\xED\xA0\x80", 1},     // surrogate
      {"\xF4\x90\x80\x80", 0},  // above U+10FFFF
      {"\xF5\x80\x80\x80", 0},  // no such start
      {"12345678\xE2\x82", 8},  // after a word of ASCII
      {"1234567\xE2\x82\xAC\xFF", 10},
  };
  for (const auto& [text, offset] : cases) EXPECT_EQ(utf8::find_invalid(text), offset);
  EXPECT_EQ(utf8::find_invalid("\0a\u00e9\u20ac\U0010ffff and plain ASCII"s), std::nullopt);
  EXPECT_EQ(utf8::find_invalid(""), std::nullopt);
}

TEST(Utf8, EveryCharacterSurvivesAppendAndNext) {
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    text.clear();
    utf8::append(text, c);
    ASSERT_EQ(utf8::find_invalid(text), std::nullopt);
    ASSERT_EQ(utf8::length(text[0]), text.size());
    size_t pos = 0;
    ASSERT_EQ(utf8::next(text, pos), c);
    ASSERT_EQ(pos, text.size());
  }
}

// Each maximal part of a character is one mark: the rows of table 3-8 of the Unicode standard.
TEST(Utf8, IllFormedPartsBecomeReplacementCharacters) {
  EXPECT_EQ(utf8::to_valid("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(utf8::to_valid("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(utf8::to_valid("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\uFFFD\uFFFD\x42");
  EXPECT_EQ(utf8::to_valid("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFD\x41");
}

}  // namespace
}  // namespace dbsa
