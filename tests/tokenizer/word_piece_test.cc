// WordPiece by hand, BERT's vocab.txt, and the errors of both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/word_piece_model.h"
#include "tests/tokenizer/reference_files.h"

namespace dbsa {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

const char* const kVocab =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\n\u00fcber\nuber\n,\n";

CompanionFiles beside(const std::string& config) {
  CompanionFiles files;
  files.config = config;
  files.config_file = "m/tokenizer_config.json";
  return files;
}

std::unique_ptr<Tokenizer> from_vocab(const std::string& vocab, const std::string& config = "") {
  auto made = Tokenizer::from_vocab_txt(vocab, "m/vocab.txt", beside(config));
  EXPECT_TRUE(made.ok()) << made.error().message;
  return made.ok() ? std::move(*made) : nullptr;
}

Error vocab_error(const std::string& vocab, const std::string& config = "") {
  const auto made = Tokenizer::from_vocab_txt(vocab, "m/vocab.txt", beside(config));
  EXPECT_FALSE(made.ok());
  return made.ok() ? Error{} : made.error();
}

std::vector<int32_t> ids_of(const WordPieceModel& model, const std::string& word) {
  std::vector<int32_t> ids = {7};  // what stands there stays
  model.encode(word, ids);
  EXPECT_EQ(ids.front(), 7);
  ids.erase(ids.begin());
  return ids;
}

TEST(WordPiece, TakesTheLongestTokenAgainAndAgain) {
  const auto model = WordPieceModel::build(
      {{"[UNK]", 0}, {"a", 1}, {"ab", 2}, {"##c", 3}, {"##cd", 4}, {"##\u00e9", 5}, {"abce", 6}},
      {.max_input_chars_per_word = 6});
  ASSERT_TRUE(model.ok());
  EXPECT_THAT(ids_of(*model, "abcd"), ElementsAre(2, 4));
  EXPECT_THAT(ids_of(*model, "ac\u00e9c"), ElementsAre(1, 3, 5, 3));
  EXPECT_THAT(ids_of(*model, "abx"), ElementsAre(0));  // the whole word
  EXPECT_THAT(ids_of(*model, "c"), ElementsAre(0));
  EXPECT_THAT(ids_of(*model, "abc\u00e9\u00e9\u00e9"), ElementsAre(2, 3, 5, 5, 5));  // 6 characters
  EXPECT_THAT(ids_of(*model, "abccccc"), ElementsAre(0));                            // 7
}

TEST(VocabTxt, IsReadAsHuggingFaceReadsIt) {
  const auto uncased = from_vocab(kVocab);
  ASSERT_NE(uncased, nullptr);
  EXPECT_THAT(*uncased->encode("[CLS] UNaffable,\u00dcber[SEP]x"),
              ElementsAre(2, 5, 6, 7, 10, 9, 3, 1));
  EXPECT_EQ(uncased->decode(std::vector<int32_t>{2, 5, 6, 7, 10, 9, 3}), "unaffable, uber");
  EXPECT_EQ(uncased->vocab_size(), 11);
  EXPECT_TRUE(uncased->is_special(3));

  const auto cased = from_vocab(kVocab, R"({"do_lower_case": false, "unk_token": "[UNK]",
    "cls_token": {"content": "[CLS]", "lstrip": false}, "strip_accents": null})");
  ASSERT_NE(cased, nullptr);
  EXPECT_THAT(*cased->encode("UN un \u00fcber"), ElementsAre(1, 5, 8));
  EXPECT_FALSE(cased->fingerprint() == uncased->fingerprint());
  EXPECT_TRUE(from_vocab("[UNK]\r\na\r\nb")->token_id("b") == 2);
}

TEST(VocabTxt, DamagedOrUnsupportedFilesAreRefused) {
  const struct {
    std::string vocab, config, message;
  } cases[] = {
      {"", "", "m/vocab.txt: is empty; expected one token a line"},
      {"[UNK]\n\xff\n", "", "m/vocab.txt: byte 6 is not valid UTF-8; fetch the file again"},
      {"a\nb\n", "", "m/vocab.txt: model.unk_token is \"[UNK]\", which is not in model.vocab"},
      {"[UNK]\na\na\n", "", "m/vocab.txt: model.vocab lists token \"a\" twice"},
      {"[UNK]\n", "{",
       "m/tokenizer_config.json: expected a JSON object; the file is damaged: "
       "fetch it again"},
      {"[UNK]\n", R"({"do_lower_case": 1})",
       "m/tokenizer_config.json.do_lower_case: expected true or false, found number"},
      {"[UNK]\n", R"({"cls_token": "<s>"})",
       "m/tokenizer_config.json: \"cls_token\" = \"<s>\" is not supported beside vocab.txt; "
       "expected \"[CLS]\""},
  };
  for (const auto& c : cases) EXPECT_EQ(vocab_error(c.vocab, c.config).message, c.message);
}

TEST(WordPiece, WrongSettingsAreRefused) {
  const json good = {{"normalizer", {{"type", "BertNormalizer"}}},
                     {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                     {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                     {"model",
                      {{"type", "WordPiece"},
                       {"unk_token", "[UNK]"},
                       {"continuing_subword_prefix", "##"},
                       {"max_input_chars_per_word", 100},
                       {"vocab", {{"[UNK]", 0}}}}}};
  ASSERT_TRUE(Tokenizer::from_json(good.dump(), "t.json").ok());
  const struct {
    const char *pointer, *value, *message;
  } cases[] = {
      {"/model/unk_token", "\"<unk>\"",
       "model.unk_token is \"<unk>\", which is not in model.vocab"},
      {"/model/unk_token", "null", "model.unk_token: expected a string, found null"},
      {"/model/max_input_chars_per_word", "-1", "model.max_input_chars_per_word: is below 0"},
      {"/model/max_input_chars_per_word", "1001",
       "model: \"max_input_chars_per_word\" = 1001 is not supported; expected at most 1000"},
      {"/model/max_input_chars_per_word", "1.5",
       "model.max_input_chars_per_word: expected a whole number, found 1.5"},
      {"/model/fuse_unk", "true", "model: the setting \"fuse_unk\" is not supported"},
      {"/normalizer/strip_accents", "1",
       "normalizer.strip_accents: expected true or false, found number"},
      {"/normalizer/nfkc", "true", "normalizer: the setting \"nfkc\" is not supported"},
      {"/pre_tokenizer/invert", "true", "pre_tokenizer: the setting \"invert\" is not supported"},
      {"/decoder/cleanup", "null", "decoder.cleanup: expected true or false, found null"},
  };
  for (const auto& [pointer, value, message] : cases) {
    json file = good;
    file[json::json_pointer(pointer)] = json::parse(value);
    const auto made = Tokenizer::from_json(file.dump(), "t.json");
    ASSERT_FALSE(made.ok()) << pointer;
    EXPECT_EQ(made.error().message, std::string("t.json: ") + message);
  }
}

// The published vocabulary, both ways in: the file's ids and those of vocab.txt are the same.
TEST(WordPiece, PublishedVocabulary) {
  const char* folder = std::getenv("DBSA_SENTENCE_MODEL");
  if (folder == nullptr) GTEST_SKIP() << "DBSA_SENTENCE_MODEL names no folder of all-MiniLM-L6-v2";
  const std::filesystem::path model = folder;
  const auto json_made = Tokenizer::load(model);
  ASSERT_TRUE(json_made.ok()) << json_made.error().message;
  const auto plain = from_vocab(testing::read_bytes(model / "vocab.txt"),
                                testing::read_bytes(model / "tokenizer_config.json"));
  ASSERT_NE(plain, nullptr);
  for (const std::string& line : testing::read_corpus())
    ASSERT_EQ(*(*json_made)->encode(line), *plain->encode(line));
  EXPECT_THAT(*plain->encode("Tokenization, unaffable!"),
              ElementsAre(19204, 3989, 1010, 14477, 20961, 3468, 999));
}

}  // namespace
}  // namespace dbsa
