// Steps of a tokenizer.json that would make a text grow without end, and what real ones need.
#include "model/tokenizer/text_bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/split_regex.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/sanitized.h"
#include "tests/tokenizer/find_all.h"

namespace dbsa {
namespace {

using nlohmann::json;

json replace(const std::string& from, const std::string& to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

json sequence(const char* key, const std::vector<json>& steps) {
  return {{"type", "Sequence"}, {key, steps}};
}

// A tokenizer of single letters with these steps; null for none.
json file_with(const json& normalizer, const json& pre_tokenizer, const json& decoder) {
  return {{"added_tokens", json::array()},
          {"normalizer", normalizer},
          {"pre_tokenizer", pre_tokenizer},
          {"decoder", decoder},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "?"},
            {"vocab", {{"?", 0}, {"a", 1}, {"b", 2}}},
            {"merges", json::array()}}}};
}

std::unique_ptr<Tokenizer> loaded(const json& file) {
  auto tokenizer = Tokenizer::from_json(file.dump(), "t.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

std::string load_error(const json& file) {
  const auto tokenizer = Tokenizer::from_json(file.dump(), "t.json");
  return tokenizer.ok() ? "loaded" : tokenizer.error().message;
}

// What encoding says.
std::string said(const json& file, const std::string& text) {
  const auto ids = loaded(file)->encode(text);
  if (ids.ok()) return std::to_string(ids->size()) + " ids";
  EXPECT_EQ(ids.error().code, ErrorCode::kConfig);
  return ids.error().message;
}

std::string exceeded(const std::string& step, size_t bytes, size_t bound) {
  return "t.json: " + step + ": makes a text of " + std::to_string(bytes) + " bytes longer than " +
         std::to_string(bound) +
         ", which is 16 times as long and 1024 bytes; fetch the tokenizer again, or take this "
         "step out";
}

TEST(TextBounds, AReplaceThatMultiplies) {
  const json twice = replace("a", "aa");
  const json six = sequence("normalizers", std::vector<json>(6, twice));
  EXPECT_EQ(said(file_with(six, nullptr, nullptr), "aaaaaaaaaaaaaaaa"), "1024 ids");
  const json many = sequence("normalizers", std::vector<json>(60, twice));
  EXPECT_EQ(said(file_with(many, nullptr, nullptr), "ab"),
            exceeded("normalizer.normalizers[10] (Replace)", 2, 1056));
  EXPECT_EQ(said(file_with(replace("a", std::string(70000, 'b')), nullptr, nullptr), "a"),
            exceeded("normalizer (Replace)", 1, 1040));
}

TEST(TextBounds, APrependIsCountedForEveryPart) {
  json file =
      file_with({{"type", "Prepend"}, {"prepend", std::string(1000, 'b')}}, nullptr, nullptr);
  EXPECT_EQ(said(file, "a"), "1001 ids");
  file["added_tokens"] = {{{"id", 3},
                           {"content", "<s>"},
                           {"single_word", false},
                           {"lstrip", false},
                           {"rstrip", false},
                           {"normalized", false},
                           {"special", true}}};
  // Two parts of one letter, each with its prefix.
  EXPECT_EQ(said(file, "a<s>a"), exceeded("normalizer (Prepend)", 5, 1104));
}

TEST(TextBounds, PreTokenizersThatMultiply) {
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const json twenty = sequence("pretokenizers", std::vector<json>(20, byte_level));
  // Each step makes two characters of each that is not ASCII.
  EXPECT_EQ(said(file_with(nullptr, twenty, nullptr), "\u00e9"),
            exceeded("pre_tokenizer.pretokenizers[9] (ByteLevel)", 2, 1056));
}

// What published files do at most: a space becomes three bytes, and each byte two more.
TEST(TextBounds, PublishedFilesStayFarBelow) {
  const json normalizer = sequence(
      "normalizers",
      {{{"type", "NFC"}}, {{"type", "Prepend"}, {"prepend", "\u2581"}}, replace(" ", "\u2581")});
  const json pre_tokenizer = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}};
  for (const std::string unit : {" ", "\u00e9", "\u4e2d", "\U0001D15E", "a"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    const auto ids = loaded(file_with(normalizer, pre_tokenizer, nullptr))->encode(text);
    EXPECT_TRUE(ids.ok()) << unit << ids.error().message;
  }
}

TEST(TextBounds, ADecoderThatMultiplies) {
  const json four = replace("a", "aaaa");
  const json sixteen = sequence("decoders", {four, four});
  EXPECT_EQ(loaded(file_with(nullptr, nullptr, sixteen))->decode(std::vector<int32_t>{1, 2}),
            std::string(16, 'a') + "b");
  EXPECT_EQ(load_error(file_with(nullptr, nullptr,
                                 sequence("decoders", {four, replace("b", "c"), four, four}))),
            "t.json: decoder.decoders[3]: Replace steps up to this one may make a text more than "
            "16 times as long, which is not supported; fetch the tokenizer again");
}

TEST(TextBounds, LongPatternsAndTokensAreRefused) {
  const std::string long_text(4097, 'a');
  EXPECT_EQ(load_error(file_with(replace(long_text, "b"), nullptr, nullptr)),
            "t.json: normalizer: a pattern of more than 4096 bytes is not supported");
  json file = file_with(nullptr, nullptr, nullptr);
  file["added_tokens"] = {{{"id", 3},
                           {"content", long_text},
                           {"single_word", false},
                           {"lstrip", false},
                           {"rstrip", false},
                           {"normalized", false},
                           {"special", true}}};
  EXPECT_EQ(load_error(file),
            "t.json: an added token of 4097 bytes is not supported; expected at most 4096");
  // The normalizer may make it longer.
  file["normalizer"] = replace("a", "ab");
  file["added_tokens"][0]["content"] = std::string(2049, 'a');
  file["added_tokens"][0]["normalized"] = true;
  EXPECT_EQ(load_error(file),
            "t.json: an added token of 4098 bytes is not supported; expected at most 4096");
}

TEST(TextBounds, TablesOfAbsurdSize) {
  if (kSanitized) GTEST_SKIP() << "millions of entries take too long with sanitizers";
  constexpr int kMost = 1 << 22;
  std::string vocab, merges, rest;
  for (int i = 0; i <= kMost; ++i) {
    vocab += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
    merges += i == 0 ? "\"a b\"" : ",\"a b\"";
    rest += i == 0 ? "0" : ",0";
  }
  const std::string advice =
      " has more than 4194304 entries. Expected a complete tokenizer.json; copy or download it "
      "again";
  const auto message = [](const std::string& bytes) {
    return Tokenizer::from_json(bytes, "t.json").error().message;
  };
  EXPECT_EQ(message("{\"model\": {\"vocab\": {" + vocab + "}}}"), "t.json: model.vocab" + advice);
  EXPECT_EQ(message("{\"model\": {\"merges\": [" + merges + "]}}"),
            "t.json: model.merges" + advice);
  EXPECT_EQ(message("{\"truncation\": [" + rest + "]}"),
            "t.json: the file, outside model.vocab and model.merges," + advice);
}

TEST(TextBounds, SplittingHasADeadline) {
  const auto regex = SplitRegex::compile("a(?=a*b)|a");
  ASSERT_TRUE(regex.ok());
  std::vector<SplitRegex::Span> spans;
  const Status status =
      testing::find_all(*regex, "aaa", spans, SplitRegex::Clock::now() - std::chrono::seconds(1));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message,
            "the regular expression \"a(?=a*b)|a\" takes too long: it got as far as byte 0 of a "
            "piece of text in the 30 s that a text may take; fetch the tokenizer again");
}

// White space that many tokens take along is read once, not once for each.
TEST(TextBounds, RunsOfWhiteSpaceAreReadOnce) {
  AddedToken space;
  space.id = 1;
  space.content = " ";
  space.rstrip = true;
  const std::string text(1 << 20, ' ');
  std::vector<AddedSplit> parts;
  AddedTokenMatcher({space}, {" "}).split(text, true, parts);
  EXPECT_EQ(parts.size(), text.size());
  EXPECT_EQ(parts.back().end, text.size());
}

}  // namespace
}  // namespace dbsa
