// tokenizer_config.json over BERT's normalizer. Ids as transformers 4.46.3 and 5.24.0 give them for
// such folders, by AutoTokenizer with a config.json of model_type bert.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"

namespace dbsa {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

const std::vector<std::string> kTokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
                                          "cafe",  "café",  "Cafe",  "Café",  "中",
                                          "文",    "中文",  ",",     "##e"};

json normalizer(const json& changes = json::object()) {
  json out = {{"type", "BertNormalizer"},
              {"clean_text", true},
              {"handle_chinese_chars", true},
              {"strip_accents", nullptr},
              {"lowercase", true}};
  out.update(changes);
  return out;
}

std::string tokenizer_json(const json& of_file) {
  json vocab, added;
  for (size_t id = 0; id < kTokens.size(); ++id) {
    vocab[kTokens[id]] = id;
    if (id < 5)
      added.push_back({{"id", id},
                       {"content", kTokens[id]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
  }
  return json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", of_file},
              {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
              {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
              {"model",
               {{"type", "WordPiece"},
                {"unk_token", "[UNK]"},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", 100},
                {"vocab", vocab}}}}
      .dump();
}

CompanionFiles beside(const json& config) {
  CompanionFiles files;
  if (!config.empty()) files.config = config.dump();
  files.config_file = "m/tokenizer_config.json";
  return files;
}

Result<std::unique_ptr<Tokenizer>> load_json(const json& of_file, const json& config) {
  return Tokenizer::from_json(tokenizer_json(of_file), "m/tokenizer.json", beside(config));
}

Result<std::unique_ptr<Tokenizer>> load_vocab(const json& config) {
  std::string lines;
  for (const std::string& token : kTokens) lines += token + "\n";
  return Tokenizer::from_vocab_txt(lines, "m/vocab.txt", beside(config));
}

std::vector<Ids> ids_of(const Result<std::unique_ptr<Tokenizer>>& tokenizer) {
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  std::vector<Ids> ids;
  for (const char* text : {"Café", "CAFÉ café Cafe", "中文 cafe", "cafe中文"})
    if (tokenizer.ok()) ids.push_back(*(*tokenizer)->encode(text));
  return ids;
}

const std::vector<Ids> kUncased = {{5}, {5, 5, 5}, {9, 10, 5}, {5, 9, 10}};
const std::vector<Ids> kCased = {{8}, {1, 6, 7}, {9, 10, 5}, {5, 9, 10}};
const std::vector<Ids> kAccented = {{6}, {6, 6, 5}, {9, 10, 5}, {5, 9, 10}};
const std::vector<Ids> kWholeChinese = {{5}, {5, 5, 5}, {11, 5}, {1}};
const std::vector<Ids> kPlain = {{8}, {1, 6, 7}, {11, 5}, {1}};

TEST(BertSettings, CountBeforeTokenizerJson) {
  const json cls = {{"tokenizer_class", "BertTokenizer"}};
  const struct {
    json of_file, config;
    std::vector<Ids> ids;
  } cases[] = {
      {json::object(), cls, kUncased},
      {{{"lowercase", false}}, cls, kUncased},  // the default of do_lower_case
      {{{"lowercase", false}}, {{"do_lower_case", true}}, kUncased},
      {json::object(), {{"do_lower_case", false}}, kCased},
      {{{"strip_accents", true}}, {{"do_lower_case", false}}, kCased},
      {json::object(), {{"strip_accents", false}}, kAccented},
      {{{"strip_accents", false}}, {{"strip_accents", nullptr}}, kUncased},
      {json::object(), {{"tokenize_chinese_chars", false}}, kWholeChinese},
      {{{"handle_chinese_chars", false}}, {{"do_lower_case", true}}, kUncased},
      {json::object(), {{"do_lower_case", false}, {"tokenize_chinese_chars", false}}, kPlain},
      {json::object(), {{"do_basic_tokenize", true}, {"never_split", nullptr}}, kUncased},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.of_file.dump() + " " + c.config.dump());
    json config = c.config;
    EXPECT_EQ(ids_of(load_json(normalizer(c.of_file), config)), c.ids);
    config["tokenizer_class"] = "BertTokenizerFast";
    EXPECT_EQ(ids_of(load_json(normalizer(c.of_file), config)), c.ids);
  }
  const json generic = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"do_lower_case", false}};
  EXPECT_EQ(ids_of(load_json(normalizer(), generic)), kUncased) << "it takes tokenizer.json";
}

TEST(BertSettings, CountBesideVocabTxt) {
  EXPECT_EQ(ids_of(load_vocab(json::object())), kUncased);
  EXPECT_EQ(ids_of(load_vocab({{"strip_accents", false}})), kAccented);
  EXPECT_EQ(ids_of(load_vocab({{"tokenize_chinese_chars", false}, {"do_lower_case", false}})),
            kPlain);
}

TEST(BertSettings, TheIdentityIsOfWhatTheyChange) {
  const auto fingerprint = [](const json& of_file, const json& config) {
    return (*load_json(normalizer(of_file), config))->fingerprint();
  };
  const Hash128 bare = fingerprint({{"lowercase", true}}, json::object());
  EXPECT_EQ(
      fingerprint({{"lowercase", true}},
                  {{"do_lower_case", true}, {"strip_accents", true}, {"never_split", nullptr}}),
      bare);
  EXPECT_NE(fingerprint({{"lowercase", true}}, {{"do_lower_case", false}}), bare);
}

TEST(BertSettings, WhatIsNotFollowedIsRefused) {
  const std::string slow =
      " is not supported: transformers' fast tokenizer ignores it and its slow one does not; "
      "remove "
      "it to have the ids of the fast one";
  const std::pair<json, std::string> cases[] = {
      {{{"do_basic_tokenize", false}},
       "m/tokenizer_config.json: \"do_basic_tokenize\" = false" + slow},
      {{{"never_split", {"a"}}}, "m/tokenizer_config.json: \"never_split\"" + slow},
      {{{"do_lower_case", "no"}},
       "m/tokenizer_config.json.do_lower_case: expected true or false, found string"},
      {{{"strip_accents", 1}},
       "m/tokenizer_config.json.strip_accents: expected true or false, found number"},
      {{{"tokenize_chinese_chars", nullptr}},
       "m/tokenizer_config.json.tokenize_chinese_chars: expected true or false, found null"},
  };
  for (const auto& [config, message] : cases) {
    const auto of_json = load_json(normalizer(), config);
    ASSERT_FALSE(of_json.ok()) << config;
    EXPECT_EQ(of_json.error().message, message);
    const auto of_vocab = load_vocab(config);
    ASSERT_FALSE(of_vocab.ok()) << config;
    EXPECT_EQ(of_vocab.error().message, message);
  }
  // The two versions of transformers differ here.
  const json sequence = {{"type", "Sequence"}, {"normalizers", {normalizer()}}};
  EXPECT_EQ(ids_of(load_json(sequence, {{"do_lower_case", true}})), kUncased);
  EXPECT_EQ(load_json(sequence, {{"do_lower_case", false}}).error().message,
            "m/tokenizer_config.json: do_lower_case, strip_accents and tokenize_chinese_chars (or "
            "their defaults) ask for another normalizer than the BertNormalizer in a Sequence of "
            "m/tokenizer.json, which is not supported; make the two files say the same");
  EXPECT_EQ(load_json(normalizer({{"lowercase", 1}}), {{"do_lower_case", false}}).error().message,
            "m/tokenizer.json: normalizer.lowercase: expected true or false, found number");
}

}  // namespace
}  // namespace dbsa
