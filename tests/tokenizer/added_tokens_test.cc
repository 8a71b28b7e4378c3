#include "model/tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dbsa {
namespace {

using ::testing::ElementsAre;

AddedToken token(int32_t id, std::string content) {
  AddedToken t;
  t.id = id;
  t.content = std::move(content);
  return t;
}

// The parts of a text, tokens as "#id".
std::vector<std::string> parts(const std::vector<AddedToken>& tokens, std::string_view text,
                               bool parse_special = true) {
  std::vector<std::string> patterns;
  for (const AddedToken& t : tokens) patterns.push_back(t.content);
  std::vector<AddedSplit> splits;
  AddedTokenMatcher(tokens, patterns).split(text, parse_special, splits);
  std::vector<std::string> out;
  for (const AddedSplit& split : splits) {
    out.push_back(split.id >= 0 ? "#" + std::to_string(split.id)
                                : std::string(text.substr(split.begin, split.end - split.begin)));
  }
  return out;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {token(1, "ab"), token(2, "abc"), token(3, "bcd"),
                                          token(4, "c")};
  EXPECT_THAT(parts(tokens, "xabcdabab"), ElementsAre("x", "#2", "d", "#1", "#1"));
  EXPECT_THAT(parts(tokens, "abbcdc"), ElementsAre("#1", "#3", "#4"));
  EXPECT_THAT(parts(tokens, "a"), ElementsAre("a"));
  EXPECT_THAT(parts({}, "abc"), ElementsAre("abc"));
}

TEST(AddedTokens, SpecialTokensCanBeReadAsText) {
  std::vector<AddedToken> tokens = {token(1, "<s>"), token(2, "user")};
  tokens[0].special = true;
  EXPECT_THAT(parts(tokens, "<s>user"), ElementsAre("#1", "#2"));
  EXPECT_THAT(parts(tokens, "<s>user", false), ElementsAre("<s>", "#2"));
}

TEST(AddedTokens, StrippingTakesWhiteSpaceAlong) {
  std::vector<AddedToken> tokens = {token(1, "L"), token(2, "R")};
  tokens[0].lstrip = true;
  tokens[1].rstrip = true;
  EXPECT_THAT(parts(tokens, "a \u3000\nL b"), ElementsAre("a", "#1", " b"));
  EXPECT_THAT(parts(tokens, "a R\t \u00a0b"), ElementsAre("a ", "#2", "b"));
  EXPECT_THAT(parts(tokens, "R  L"), ElementsAre("#2", "#1"));
  EXPECT_THAT(parts(tokens, "  L  L"), ElementsAre("#1", "#1"));
}

TEST(AddedTokens, SingleWordsTouchNoWordCharacter) {
  std::vector<AddedToken> tokens = {token(1, "go")};
  tokens[0].single_word = true;
  EXPECT_THAT(parts(tokens, "go-go"), ElementsAre("#1", "-", "#1"));
  for (const char* text :
       {"ago", "gos", "go_", "go\u0301", "go\u200d", "\u00e9go", "\u4e00go", "7go"})
    EXPECT_THAT(parts(tokens, text), ElementsAre(text));
}

}  // namespace
}  // namespace dbsa
