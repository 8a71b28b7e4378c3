#include "pipeline/answer/label_decoder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace dbsa {
namespace {

using Texts = std::vector<std::string>;

TEST(FindStop, TakesTheFirstPlaceOfAnyStop) {
  EXPECT_EQ(find_stop("one\n==\ntwo", Texts{"\n==\n"}), 3u);
  EXPECT_EQ(find_stop("one. two\n==\n", Texts{"\n==\n", ". "}), 3u);
  EXPECT_EQ(find_stop("a, b. c", Texts{". ", ", "}), 1u);
  EXPECT_EQ(find_stop("abcd", Texts{"bcd", "abc"}), 0u);
  EXPECT_EQ(find_stop("\xC3\xA9\xE2\x80\xA6", Texts{"\xE2\x80\xA6"}), 2u);
  EXPECT_EQ(find_stop("one\n=", Texts{"\n==\n", ". "}), std::nullopt);
  EXPECT_EQ(find_stop("", Texts{"x"}), std::nullopt);
  EXPECT_EQ(find_stop("x", Texts{}), std::nullopt);
}

// Tokens of one letter each, "<end>" (special, id 3) and "<tag>" (added, id 4).
std::unique_ptr<Tokenizer> letters() {
  const auto added = [](int id, const char* text, bool special) {
    return nlohmann::json{{"id", id},          {"content", text}, {"single_word", false},
                          {"lstrip", false},   {"rstrip", false}, {"normalized", false},
                          {"special", special}};
  };
  const nlohmann::json file = {
      {"model",
       {{"type", "BPE"},
        {"vocab", {{"a", 0}, {"b", 1}, {"c<", 2}}},
        {"merges", nlohmann::json::array()}}},
      {"decoder", {{"type", "Fuse"}}},
      {"added_tokens", {added(3, "<end>", true), added(4, "<tag>", false)}}};
  auto tokenizer = Tokenizer::from_json(file.dump(), "t.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

TEST(TextBeforeStop, StopsMayBeOrHoldSpecialTokens) {
  const auto tokenizer = letters();
  const auto before = [&](const std::vector<int32_t>& ids, const Texts& stops) {
    return text_before_stop(*tokenizer, ids, stops);
  };
  EXPECT_EQ(before({0, 1, 3}, {"<end>"}), "ab");
  EXPECT_EQ(before({0, 3, 1, 3, 0}, {"b<end>"}), "a") << "the special token before it is left out";
  EXPECT_EQ(before({0, 3, 1, 0}, {"<end>b"}), "a");
  EXPECT_EQ(before({0, 3, 1, 4}, {"<tag>"}), "ab");
  EXPECT_EQ(before({0, 2, 1}, {"<b"}), "ac") << "the stop begins within a token";
  EXPECT_EQ(before({3, 0}, {"<end>"}), "");
  EXPECT_EQ(before({0, 3, 1}, {"ab"}), std::nullopt) << "a special token stands between";
  EXPECT_EQ(before({0, 1}, {"<end>"}), std::nullopt);
  EXPECT_EQ(before({0, 1}, {}), std::nullopt);
}

}  // namespace
}  // namespace dbsa
