#include "model/tokenizer/split_regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tokenizer/find_all.h"

namespace dbsa {
namespace {

using dbsa::testing::find_all;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  const auto regex = SplitRegex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.error().message;
  std::vector<SplitRegex::Span> spans;
  const Status status = find_all(*regex, text, spans);
  EXPECT_TRUE(status.ok()) << status.error().message;
  std::vector<std::string> out;
  for (const auto& [begin, end] : spans) out.emplace_back(text.substr(begin, end - begin));
  return out;
}

std::string refusal(std::string_view pattern) {
  const auto regex = SplitRegex::compile(pattern);
  EXPECT_FALSE(regex.ok()) << pattern;
  if (regex.ok()) return "";
  EXPECT_EQ(regex.error().code, ErrorCode::kConfig);
  return regex.error().message;
}

TEST(SplitRegex, WhiteSpaceIsTheUnicodeProperty) {
  EXPECT_THAT(matches(R"(\s+)", "a\u180eb\u00a0c\u2028d\x1f"), ElementsAre("\u00a0", "\u2028"));
  EXPECT_THAT(matches(R"([^\s]+)", "a\u180eb\u0085c"), ElementsAre("a\u180eb", "c"));
  EXPECT_THAT(matches(R"(\S+)", "a\u180eb\u3000c"), ElementsAre("a\u180eb", "c"));
}

TEST(SplitRegex, CaseFoldingReachesTheLongS) {
  EXPECT_THAT(matches("(?i:'s|'ll)", "'S '\u017f 'lL 's"),
              ElementsAre("'S", "'\u017f", "'lL", "'s"));
}

TEST(SplitRegex, LiteralsRangesAndEscapes) {
  EXPECT_THAT(matches(R"([a\-c]+)", "ab-c"), ElementsAre("a", "-c"));
  EXPECT_THAT(matches(R"([a-c-]+)", "ab-cd"), ElementsAre("ab-c"));
  EXPECT_THAT(matches(R"([-a]+)", "b-a"), ElementsAre("-a"));
  EXPECT_THAT(matches(R"([\u0041-\x43]{2,})", "ABCD A"), ElementsAre("ABC"));
  EXPECT_THAT(matches(R"(\(\{\.)", "({."), ElementsAre("({."));
  EXPECT_THAT(matches(R"(#x y)", "#x y"), ElementsAre("#x y"));
  EXPECT_THAT(matches(R"(\p{^Lu}\P{Lu})", "abAB"), ElementsAre("ab"));
  EXPECT_THAT(matches(R"((a|b)+?c)", "abac"), ElementsAre("abac"));
  EXPECT_THAT(matches(R"(\s+(?!\S))", "   x"), ElementsAre("  "));
  EXPECT_THAT(matches(R"(x)", "abc"), IsEmpty());
}

TEST(SplitRegex, LongRunsAreMatched) {
  const std::string llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  for (const char* unit : {"a", " ", "\n", "=", "\u4e00", " \n", "\u0301"}) {
    std::string text;
    while (text.size() < 2'000'000) text += unit;
    EXPECT_THAT(matches(llama3, text), ElementsAre(text)) << unit;
  }
  // A group in a loop needs a stack beyond PCRE2's own 32 KiB.
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += i % 2 == 0 ? "a" : "bc";
  EXPECT_THAT(matches("(?:a|bc)+", text), ElementsAre(text));
}

TEST(SplitRegex, CatastrophicPatternEndsWithAnError) {
  const auto regex = SplitRegex::compile("(?:a+)+b");
  ASSERT_TRUE(regex.ok());
  const std::string text = std::string(200, 'a') + "xb";
  std::vector<SplitRegex::Span> spans;
  const Status status = find_all(*regex, text, spans);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kConfig);
  EXPECT_EQ(status.error().message,
            "the regular expression \"(?:a+)+b\" cannot be matched at byte 0 of a piece of text: "
            "match limit exceeded");
}

TEST(SplitRegex, WhatTheEnginesReadDifferentlyIsRefused) {
  const struct {
    const char* pattern;
    const char* uses;
    int byte;
  } cases[] = {
      {"^a", "an anchor", 0},
      {"a$", "an anchor", 1},
      {R"(\w+)", R"(the escape \w)", 0},
      {R"(a\b)", R"(the escape \b)", 1},
      {R"((a)\1)", R"(the escape \1)", 3},
      {R"(\v)", R"(the escape \v)", 0},
      {R"(\p{Han}+)", R"(the property \p{Han})", 0},
      {R"(\p{L)", R"(an incomplete \p{...})", 0},
      {R"(\x4)", "an incomplete escape", 0},
      {R"(\xe9)", "a byte beyond ASCII", 0},
      {R"(\ud800)", "a surrogate", 0},
      {R"(a\)", "a backslash at the end", 2},
      {"[a", "a class that is not closed", 2},
      {"[]a]", "an empty class", 1},
      {"[a[b]]", "a class inside a class", 2},
      {"[[:alpha:]]", "a class inside a class", 1},
      {"[a&&b]", "a class operation", 2},
      {R"([\S])", R"(\S inside a class)", 1},
      {R"([\d-z])", "a '-' that is neither a range nor at an end of the class", 3},
      {"[z-a]", "a range whose end lies before its start", 4},
      {R"([a-\d])", "a range to a class", 5},
      {"a{2}+", "a quantifier of a quantifier", 4},
      {"a{2}?", "a quantifier of a quantifier", 4},
      {"a**", "a quantifier of a quantifier", 2},
      {"a{,3}", "an unescaped '{'", 1},
      {"a}", "an unescaped '}'", 1},
      {"*a", "an unescaped '*'", 0},
      {"(?i)a", "a group option", 0},
      {"(?<n>a)", "a group option", 0},
      {"(*FAIL)", "a group option", 0},
      {"(a", "a group that is not closed", 2},
      {"a)", "a closing bracket without its group", 1},
      {"(?i:[a-z])", "a class inside (?i:", 4},
      {R"((?i:\p{Lu}))", "a class inside (?i:", 10},
      {"(?i:\u00e9)", "a character beyond ASCII inside (?i:", 6},
      {"(?i:ss)", "a pair that folds to one letter inside (?i:", 6},
      {"(?i:a(?:Fi))", "a pair that folds to one letter inside (?i:", 10},
  };
  for (const auto& [pattern, uses, byte] : cases) {
    EXPECT_EQ(refusal(pattern), std::string("the regular expression \"") + pattern + "\" uses " +
                                    uses + " at byte " + std::to_string(byte) +
                                    ", which is not supported");
  }
  EXPECT_EQ(refusal("a*"),
            "the regular expression \"a*\" can match the empty string, which is not supported");
  EXPECT_EQ(
      refusal("(?<=a+)b"),
      "the regular expression \"(?<=a+)b\" does not compile: lookbehind assertion is not fixed "
      "length");
}

}  // namespace
}  // namespace dbsa
