// Every way a tokenizer.json can be wrong, with the exact message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"

namespace dbsa {
namespace {

using nlohmann::json;

const char* const kGood = R"({"version": "1.0", "truncation": {"max_length": 4}, "padding": null,
  "added_tokens": [{"id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "Digits", "individual_digits": true},
  "post_processor": {"type": "TemplateProcessing", "single": []},
  "decoder": {"type": "Fuse"},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";

Error load_error(const std::string& bytes) {
  const auto tokenizer = Tokenizer::from_json(bytes, "t.json");
  EXPECT_FALSE(tokenizer.ok()) << bytes;
  return tokenizer.ok() ? Error{} : tokenizer.error();
}

// The error after one value of the good file is replaced (or, without a value, removed).
Error edited(const std::string& pointer, const std::string& value = "") {
  json file = json::parse(kGood);
  if (value.empty()) {
    const json::json_pointer place(pointer);
    file[place.parent_pointer()].erase(place.back());
  } else {
    file[json::json_pointer(pointer)] = json::parse(value);
  }
  return load_error(file.dump());
}

TEST(TokenizerJson, TheGoodFileLoadsAndIsNotTruncated) {
  const auto tokenizer = Tokenizer::from_json(kGood, "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), 4);
  EXPECT_THAT(*(*tokenizer)->encode("<s>abbabaab"), ::testing::ElementsAre(3, 2, 1, 2, 0, 2));
}

TEST(TokenizerJson, BytesThatAreNotJson) {
  const std::string advice = ". Expected a complete tokenizer.json; copy or download it again";
  const std::string long_key =
      "syntax error while parsing object key - invalid string: missing closing quote; last read: "
      "'\"";
  const struct {
    std::string bytes;
    std::string message;
  } cases[] = {
      {"",
       "byte 1: not valid JSON: syntax error while parsing value - unexpected end of input; "
       "expected '[', '{', or a literal"},
      {std::string(kGood).substr(0, 100),
       "byte 101: not valid JSON: syntax error while parsing object key - invalid string: missing "
       "closing quote; last read: '\"c'; expected string literal"},
      {"{} x",
       "byte 4: not valid JSON: syntax error while parsing value - invalid literal; last read: "
       "'{} x'; expected end of input"},
      {R"({"model": {"vocab": {"a": 0}, "vocab": {"b": 1}}})", "the key \"vocab\" is given twice"},
      {"{\"" + std::string(100'000, 'x'), "byte 100003: not valid JSON: " + long_key +
                                              std::string(200 - long_key.size(), 'x') + "..."},
      {R"({"a": 1, "a": 2})", "the key \"a\" is given twice"},
      {std::string(100, '['), "brackets nest deeper than 64 levels"},
      {R"({"model": {"vocab": {"a": "x"}}})",
       "the id of token \"a\" in model.vocab is a string, not a whole number"},
      {R"({"model": {"vocab": {"a": 1.5}}})",
       "the id of token \"a\" in model.vocab is a fraction, not a whole number"},
      {R"({"model": {"vocab": {"a": []}}})",
       "the id of token \"a\" in model.vocab is an array, not a whole number"},
      {R"({"model": {"merges": ["a b", "c"]}})",
       "entry 1 of model.merges is or holds \"c\"; expected \"left right\" or [\"left\", "
       "\"right\"]"},
      {R"({"model": {"merges": ["a b c"]}})",
       "entry 0 of model.merges is or holds \"a b c\"; expected \"left right\" or [\"left\", "
       "\"right\"]"},
      {R"({"model": {"merges": [["a"]]}})",
       "entry 0 of model.merges is or holds an array of 1; expected \"left right\" or [\"left\", "
       "\"right\"]"},
      {R"({"model": {"merges": [["a", "b", "c"]]}})",
       "entry 0 of model.merges is or holds an array of 3 or more; expected \"left right\" or "
       "[\"left\", \"right\"]"},
      {R"({"model": {"merges": [7]}})",
       "entry 0 of model.merges is or holds a number; expected \"left right\" or [\"left\", "
       "\"right\"]"},
  };
  for (const auto& [bytes, message] : cases) {
    const Error error = load_error(bytes);
    EXPECT_EQ(error.code, ErrorCode::kEnvironment);
    EXPECT_EQ(error.message, "t.json: " + message + advice);
  }
  EXPECT_EQ(load_error("[]").message,
            "t.json: the file holds no JSON object, so it is no tokenizer.json");
}

TEST(TokenizerJson, EveryTruncationIsRefused) {
  const std::string good = kGood;
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(load_error(good.substr(0, size)).code, ErrorCode::kEnvironment) << size;
}

TEST(TokenizerJson, DamagedFiles) {
  const struct {
    const char* pointer;
    const char* value;
    const char* message;
  } cases[] = {
      {"/model", "", "model: missing; expected an object"},
      {"/model/vocab", "", "model.vocab: missing; expected an object of tokens and ids"},
      {"/model/merges", "", "model.merges: missing; expected a list of pairs"},
      {"/model/vocab", "[]", "model.vocab: missing; expected an object of tokens and ids"},
      {"/model/vocab/b", "-1",
       "model.vocab gives token \"b\" the id -1; ids lie between 0 and 4194303"},
      {"/model/vocab/b", "4194304",
       "model.vocab gives token \"b\" the id 4194304; ids lie between 0 and 4194303"},
      {"/model/vocab/b", "18446744073709551615",
       "model.vocab gives token \"b\" the id 9223372036854775807; ids lie between 0 and 4194303"},
      {"/model/vocab/b", "0", "model.vocab gives the id 0 to two tokens, \"a\" and \"b\""},
      {"/model/merges/0", "\"a c\"",
       "merge 0 (\"a\" + \"c\") needs the token \"c\", which is not in model.vocab"},
      {"/model/merges/0", "[\"b\", \"a\"]",
       "merge 0 (\"b\" + \"a\") needs the token \"ba\", which is not in model.vocab"},
      {"/model/unk_token", "\"<unk>\"",
       "model.unk_token is \"<unk>\", which is not in model.vocab"},
      {"/model/fuse_unk", "1", "model.fuse_unk: expected true or false, found number"},
      {"/added_tokens", "{}", "tokenizer.json.added_tokens: expected a list"},
      {"/added_tokens/0/id", "",
       "tokenizer.json.added_tokens[0].id: missing; expected a whole number"},
      {"/added_tokens/0/id", "1.5",
       "tokenizer.json.added_tokens[0].id: expected a whole number, found 1.5"},
      {"/added_tokens/0/id", "-3",
       "tokenizer.json.added_tokens[0].id: the id -3 of token \"<s>\" is out of range; ids lie "
       "between 0 and 4194303"},
      {"/added_tokens/0/id", "1",
       "tokenizer.json.added_tokens[0].id: token \"<s>\" has id 1, which model.vocab gives to "
       "\"b\""},
      {"/added_tokens/0/content", "\"a\"",
       "tokenizer.json.added_tokens[0].id: token \"a\" has id 3 here and 0 in model.vocab"},
      {"/added_tokens/0/content", "\"\"",
       "tokenizer.json.added_tokens[0].content: is empty; expected the token's text"},
      {"/added_tokens/0/special", "",
       "tokenizer.json.added_tokens[0].special: missing; expected true or false"},
      {"/normalizer", "[]", "normalizer: expected an object, found array"},
      {"/normalizer/type", "", "normalizer.type: missing; expected a string"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Prepend"}]})",
       "normalizer.normalizers[0].prepend: missing; expected a string"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": "x", "behavior": "Isolated"})",
       "pre_tokenizer.pattern: expected {\"String\": \"...\"} or {\"Regex\": \"...\"}"},
  };
  for (const auto& [pointer, value, message] : cases) {
    const Error error = edited(pointer, value);
    EXPECT_EQ(error.code, ErrorCode::kEnvironment) << error.message;
    EXPECT_EQ(error.message, std::string("t.json: ") + message);
  }
}

TEST(TokenizerJson, RepeatedAddedTokens) {
  json file = json::parse(kGood);
  file["added_tokens"].push_back(file["added_tokens"][0]);
  EXPECT_EQ(load_error(file.dump()).message,
            "t.json: tokenizer.json.added_tokens[1].content: token \"<s>\" is listed twice");
  file["added_tokens"][1]["content"] = "</s>";
  EXPECT_EQ(load_error(file.dump()).message,
            "t.json: tokenizer.json.added_tokens[1].id: id 3 is given to \"<s>\" and \"</s>\"");
}

TEST(TokenizerJson, WhatIsNotSupportedIsRefusedByName) {
  const struct {
    const char* pointer;
    const char* value;
    const char* message;
  } cases[] = {
      {"/version", "\"2.0\"", "tokenizer.json: version \"2.0\" is not supported; expected \"1.0\""},
      {"/extra", "1", "tokenizer.json: the setting \"extra\" is not supported"},
      {"/model/type", "\"Unigram\"",
       "model: the model type \"Unigram\" is not supported; known: BPE, WordPiece"},
      {"/model/type", "\"WordPiece\"", "model: the setting \"byte_fallback\" is not supported"},
      {"/model/dropout", "0.1", "model: \"dropout\" = 0.1 is not supported"},
      {"/model/continuing_subword_prefix", "\"##\"",
       "model: \"continuing_subword_prefix\" = \"##\" is not supported"},
      {"/model/end_of_word_suffix", "\"</w>\"",
       "model: \"end_of_word_suffix\" = \"</w>\" is not supported"},
      {"/model/backtracking", "true", "model: the setting \"backtracking\" is not supported"},
      {"/added_tokens/0/weight", "1",
       "tokenizer.json.added_tokens[0]: the setting \"weight\" is not supported"},
      {"/normalizer/type", "\"Lowercase\"",
       "normalizer: the normalizer \"Lowercase\" is not supported; known: BertNormalizer, "
       "NFC, Prepend, Replace, Sequence"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFKC"}]})",
       "normalizer.normalizers[1]: the normalizer \"NFKC\" is not supported; known: "
       "BertNormalizer, "
       "NFC, Prepend, Replace, Sequence"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": " +"}, "content": " "})",
       "normalizer: Replace is supported with a pattern {\"String\": \"...\"} that is not empty"},
      {"/pre_tokenizer/type", "\"Whitespace\"",
       "pre_tokenizer: the pre_tokenizer \"Whitespace\" is not supported; known: "
       "BertPreTokenizer, ByteLevel, Digits, "
       "Metaspace, Sequence, Split"},
      {"/pre_tokenizer/new", "1", "pre_tokenizer: the setting \"new\" is not supported"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"String": "x"}, "behavior": "Odd"})",
       "pre_tokenizer: the behavior \"Odd\" is not supported; known: Removed, Isolated, "
       "MergedWithPrevious, MergedWithNext, Contiguous"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Removed"})",
       "pre_tokenizer: an empty pattern is not supported"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Removed"})",
       "pre_tokenizer: the regular expression \"\\w+\" uses the escape \\w at byte 0, which is not "
       "supported"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "__"})",
       "pre_tokenizer: \"replacement\" must be one character, found \"__\""},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})",
       "pre_tokenizer: the prepend_scheme \"last\" is not supported; known: always, first, never"},
      {"/pre_tokenizer",
       R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false})",
       "pre_tokenizer: add_prefix_space = false contradicts prepend_scheme = \"first\""},
      {"/decoder/type", "\"CTC\"",
       "decoder: the decoder \"CTC\" is not supported; known: ByteFallback, ByteLevel, Fuse, "
       "Metaspace, Replace, Sequence, Strip, WordPiece"},
      {"/decoder", R"({"type": "Strip", "content": "ab", "start": 1, "stop": 0})",
       "decoder: \"content\" must be one character, found \"ab\""},
  };
  for (const auto& [pointer, value, message] : cases) {
    const Error error = edited(pointer, value);
    EXPECT_EQ(error.code, ErrorCode::kConfig) << error.message;
    EXPECT_EQ(error.message, std::string("t.json: ") + message);
  }
}

TEST(TokenizerJson, TokenThatTheNormalizerErases) {
  json file = json::parse(kGood);
  file["normalizer"] =
      json::parse(R"({"type": "Replace", "pattern": {"String": "<s>"}, "content": ""})");
  file["added_tokens"][0]["normalized"] = true;
  EXPECT_EQ(load_error(file.dump()).message,
            "t.json: the normalizer leaves nothing of the added token \"<s>\"");
}

}  // namespace
}  // namespace dbsa
