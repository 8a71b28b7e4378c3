// What stands beside the tokenizer's file: added_tokens.json, special_tokens_map.json,
// tokenizer_config.json. Ids as transformers 5.24 gives them for such folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"
#include "tests/tokenizer/reference_files.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::read_bytes;
using testing::reference_dir;
using Ids = std::vector<int32_t>;

class Companions : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "dbsa-companions-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  void write(const std::string& name, const json& value) { write(name, value.dump()); }
  // A sentencepiece model of 3,000 pieces; of them 0 to 2 are <unk>, <s> and </s>.
  void take_sentencepiece() {
    write("tokenizer.model", read_bytes(reference_dir() / "sentencepiece_bpe" / "tokenizer.model"));
  }
  // a, b, "<x>" and "[P]" with the ids 0 to 3; "<x>" is an added token.
  void take_json() {
    write("tokenizer.json", {{"decoder", {{"type", "Fuse"}}},
                             {"model",
                              {{"type", "BPE"},
                               {"vocab", {{"a", 0}, {"b", 1}, {"<x>", 2}, {"[P]", 3}}},
                               {"merges", json::array()}}},
                             {"added_tokens",
                              {{{"id", 2},
                                {"content", "<x>"},
                                {"single_word", false},
                                {"lstrip", false},
                                {"rstrip", false},
                                {"normalized", false},
                                {"special", true}}}}});
  }
  std::unique_ptr<Tokenizer> load() {
    auto tokenizer = Tokenizer::load(folder_);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
  }
  // Without the folder's name.
  std::string fault() {
    const auto tokenizer = Tokenizer::load(folder_);
    if (tokenizer.ok()) return "no fault";
    std::string message = tokenizer.error().message;
    for (size_t at; (at = message.find(folder_.string() + "/")) != std::string::npos;)
      message.erase(at, folder_.string().size() + 1);
    return message;
  }

  fs::path folder_;
};

TEST_F(Companions, AddedTokensBesideASentencepieceModel) {
  take_sentencepiece();
  const auto bare = load();
  const Ids text = *bare->encode("the");
  write("added_tokens.json", {{"<|im_start|>", 3000}, {"<|im_end|>", 3001}});
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->vocab_size(), 3002);
  EXPECT_EQ(tokenizer->token_id("<|im_end|>"), 3001);
  Ids expected = {3000};
  expected.insert(expected.end(), text.begin(), text.end());
  expected.push_back(3001);
  EXPECT_EQ(*tokenizer->encode("<|im_start|>the<|im_end|>"), expected);
  EXPECT_EQ(tokenizer->decode(expected), "<|im_start|>the<|im_end|>") << "they are not special";
  EXPECT_EQ(*tokenizer->encode("<|im_end|>", {.parse_special = false}), Ids{3001});
  EXPECT_NE(tokenizer->fingerprint(), bare->fingerprint());

  // special_tokens_map.json makes one of them special, as tokenizer_config.json does the other.
  write("special_tokens_map.json", {{"eos_token", "<|im_end|>"}});
  write("tokenizer_config.json", {{"additional_special_tokens", {"<|im_start|>"}}});
  const auto special = load();
  EXPECT_EQ(special->decode(expected), "the");
  EXPECT_EQ(special->decode(expected, {.skip_special = false}), "<|im_start|>the<|im_end|>");
  EXPECT_TRUE(special->is_special(3001));
  EXPECT_EQ(special->eos_id(), 3001);
  EXPECT_NE(*special->encode("<|im_end|>", {.parse_special = false}), Ids{3001});
  EXPECT_NE(special->fingerprint(), tokenizer->fingerprint());
}

TEST_F(Companions, TheDecoderOfTheConfigurationCountsFirst) {
  take_sentencepiece();
  write("added_tokens.json", {{"<a>", 3005}, {"<b>", 3001}, {"<c>", 3002}});
  write("tokenizer_config.json",
        {{"added_tokens_decoder",
          {{"3000", {{"content", "<a>"}, {"special", true}, {"rstrip", true}}},
           {"3001", {{"content", "<d>"}}}}}});
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->token_id("<a>"), 3000);
  EXPECT_EQ(tokenizer->token_id("<b>"), std::nullopt) << "its id is another token's";
  EXPECT_EQ(tokenizer->token_id("<c>"), 3002);
  EXPECT_EQ(tokenizer->token_id("<d>"), 3001);
  EXPECT_EQ(*tokenizer->encode("<a> \n<d>"), (Ids{3000, 3001})) << "white space behind it is its";
}

// Files that say nothing new leave the identity, and so stored blocks, as they are.
TEST_F(Companions, TheIdentityIsOfWhatTheFilesChange) {
  take_sentencepiece();
  const Hash128 bare = load()->fingerprint();
  write("tokenizer_config.json", {{"bos_token", {{"content", "<s>"}, {"lstrip", false}}},
                                  {"eos_token", "</s>"},
                                  {"unk_token", "<unk>"},
                                  {"added_tokens_decoder",
                                   {{"0", {{"content", "<unk>"}, {"special", true}}},
                                    {"1", {{"content", "<s>"}, {"special", true}}}}},
                                  {"chat_template", "{{ messages }}"},
                                  {"add_bos_token", true},
                                  {"clean_up_tokenization_spaces", false}});
  EXPECT_EQ(load()->fingerprint(), bare);
  EXPECT_EQ(load()->adds_bos(), true);
  write("tokenizer_config.json", {{"clean_up_tokenization_spaces", true}});
  EXPECT_NE(load()->fingerprint(), bare);
  write("tokenizer_config.json", {{"legacy", false}});
  EXPECT_NE(load()->fingerprint(), bare);
}

TEST_F(Companions, WithoutLegacyOnlyTheFirstTextGetsASpace) {
  take_sentencepiece();
  const Ids the = *load()->encode("the");
  EXPECT_EQ(the, Ids{303});
  const Ids legacy = *load()->encode("<s>the");
  EXPECT_EQ(legacy, (Ids{1, the[0]}));
  write("tokenizer_config.json", {{"legacy", false}});
  const auto tokenizer = load();
  EXPECT_TRUE(tokenizer->starts_with_space());
  EXPECT_EQ(*tokenizer->encode("the"), the);
  EXPECT_EQ(*tokenizer->encode("<s>the"), (Ids{1, 538}));
  EXPECT_EQ(*tokenizer->encode("the<s> the"), (Ids{303, 1, 303}));
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("<s>the"), {.skip_special = false}), "<s>the");
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("the<s> the")), "the the");
  write("tokenizer_config.json", {{"legacy", false}, {"add_prefix_space", false}});
  EXPECT_FALSE(load()->starts_with_space());
  EXPECT_NE(*load()->encode("the"), the);
}

TEST_F(Companions, TokensOfTheConfigurationBesideTokenizerJson) {
  take_json();
  const Hash128 bare = load()->fingerprint();
  EXPECT_EQ(load()->adds_bos(), std::nullopt);
  write("tokenizer_config.json",
        {{"eos_token", "<x>"},
         {"add_bos_token", false},
         {"added_tokens_decoder", {{"2", {{"content", "<x>"}, {"special", true}}}}}});
  EXPECT_EQ(load()->fingerprint(), bare) << "tokenizer.json has it";
  EXPECT_EQ(load()->eos_id(), 2);
  EXPECT_EQ(load()->adds_bos(), false);
  write("tokenizer_config.json",
        {{"pad_token", "[P]"},
         {"mask_token", "[M]"},
         {"added_tokens_decoder", {{"7", {{"content", "<y>"}, {"special", true}}}}}});
  const auto tokenizer = load();
  EXPECT_EQ(*tokenizer->encode("a<y>b[P][M]"), (Ids{0, 7, 1, 3, 8}));
  EXPECT_EQ(tokenizer->decode(Ids{0, 7, 1, 3, 8}), "ab");
  EXPECT_EQ(tokenizer->vocab_size(), 9);
  EXPECT_NE(tokenizer->fingerprint(), bare);
}

TEST_F(Companions, TheConfigurationSetsFlagsOfListedTokens) {
  take_json();
  json file = json::parse(read_bytes(folder_ / "tokenizer.json"));
  file["added_tokens"][0]["special"] = false;
  file["model"]["vocab"][" "] = 4;
  write("tokenizer.json", file);
  const Hash128 bare = load()->fingerprint();
  EXPECT_EQ(*load()->encode("a<x> b"), (Ids{0, 2, 4, 1}));
  EXPECT_EQ(load()->decode(Ids{0, 2, 1}), "a<x>b");
  write("special_tokens_map.json", {{"eos_token", "<x>"}});
  EXPECT_EQ(load()->decode(Ids{0, 2, 1}), "ab");
  EXPECT_NE(load()->fingerprint(), bare);
  fs::remove(folder_ / "special_tokens_map.json");
  write("tokenizer_config.json",
        {{"added_tokens_decoder",
          {{"2", {{"content", "<x>"}, {"rstrip", true}, {"special", true}}}}}});
  EXPECT_EQ(*load()->encode("a<x> b"), (Ids{0, 2, 1}));
  EXPECT_EQ(load()->decode(Ids{0, 2, 1}), "ab");
}

TEST_F(Companions, TokensBesideAVocabulary) {
  write("vocab.txt", std::string("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"));
  write("added_tokens.json", {{"[URL]", 7}});
  const auto tokenizer = load();
  EXPECT_EQ(*tokenizer->encode("ab [URL] a"), (Ids{5, 6, 7, 5}));
  write("special_tokens_map.json", {{"additional_special_tokens", {"[URL]"}}});
  EXPECT_EQ(load()->decode(Ids{5, 6, 7}), "ab");
}

TEST_F(Companions, APostProcessorThatAddsBosIsSeen) {
  take_json();
  json file = json::parse(read_bytes(folder_ / "tokenizer.json"));
  const json special = {{"SpecialToken", {{"id", "<x>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  file["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}}, {{"type", "TemplateProcessing"}, {"single", {special, text}}}}}};
  write("tokenizer.json", file);
  EXPECT_EQ(load()->adds_bos(), true);
  file["post_processor"] = {{"type", "ByteLevel"}};
  write("tokenizer.json", file);
  EXPECT_EQ(load()->adds_bos(), false);
  write("tokenizer_config.json", {{"add_bos_token", true}});
  EXPECT_EQ(load()->adds_bos(), true);
}

// As transformers' bos_token; and where it has none, what the template puts first.
TEST_F(Companions, TheBosTokenIsTheOneThatAFileNamesFirst) {
  take_json();
  EXPECT_EQ(load()->bos_id(), std::nullopt);
  json file = json::parse(read_bytes(folder_ / "tokenizer.json"));
  const json special = {{"SpecialToken", {{"id", "<x>"}, {"type_id", 0}}}};
  json& processor =
      file["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {special}}};
  write("tokenizer.json", file);
  EXPECT_EQ(load()->bos_id(), 2) << "the vocabulary's";
  processor["special_tokens"] = {{"<x>", {{"id", "<x>"}, {"ids", {1}}, {"tokens", {"<x>"}}}}};
  write("tokenizer.json", file);
  EXPECT_EQ(load()->bos_id(), 1) << "the template's own";
  for (const json& odd : {json("x"), json::array(), json({-1}), json({"1"})}) {
    processor["special_tokens"]["<x>"]["ids"] = odd;
    write("tokenizer.json", file);
    EXPECT_EQ(load()->bos_id(), odd == json({-1}) ? std::nullopt : std::optional(2)) << odd;
  }
  write("special_tokens_map.json", {{"bos_token", "[P]"}});
  EXPECT_EQ(load()->bos_id(), 3);
  write("tokenizer_config.json", {{"bos_token", {{"content", "<x>"}}}});
  EXPECT_EQ(load()->bos_id(), 2);
  EXPECT_EQ(load()->adds_bos(), true);
  fs::remove(folder_ / "tokenizer.json");
  take_sentencepiece();
  write("tokenizer_config.json", {{"bos_token", "</s>"}});
  EXPECT_EQ(load()->bos_id(), 2);
  write("added_tokens.json", {{"<new>", 3000}});
  write("tokenizer_config.json", {{"bos_token", "<new>"}});
  EXPECT_EQ(load()->bos_id(), 3000);
}

TEST_F(Companions, ABosTokenWithoutAnIdIsRefused) {
  take_json();
  const auto message = [](const std::string& file, const std::string& tokenizer) {
    return file + ": bos_token: expected a token of " + tokenizer +
           ", found \"<none>\", which has no id; take all tokenizer files from one version of the "
           "model";
  };
  write("special_tokens_map.json", {{"bos_token", "<none>"}});
  EXPECT_EQ(fault(), message("special_tokens_map.json", "tokenizer.json"));
  fs::remove(folder_ / "tokenizer.json");
  write("tokenizer_config.json", {{"bos_token", "<none>"}});
  take_sentencepiece();
  EXPECT_EQ(fault(), message("tokenizer_config.json", "tokenizer.model"));
  write("tokenizer_config.json",
        {{"bos_token", "<none>"}, {"added_tokens_decoder", {{"3000", {{"content", "<none>"}}}}}});
  EXPECT_EQ(load()->bos_id(), 3000);
}

TEST_F(Companions, AnswersAreCleanedUpWhereTheFolderSaysSo) {
  take_json();
  const std::string text = "It is n't so , she 's \" here \" ! Or ?";
  EXPECT_EQ(load()->clean_up(text), text);
  write("tokenizer_config.json", {{"clean_up_tokenization_spaces", true}});
  EXPECT_EQ(load()->clean_up(text), "It isn't so, she's \" here \"! Or?");
}

TEST_F(Companions, SayWhatIsWrong) {
  take_sentencepiece();
  write("tokenizer_config.json", std::string("["));
  EXPECT_EQ(fault(),
            "tokenizer_config.json: expected a JSON object; the file is damaged: fetch it again");
  write("tokenizer_config.json", {{"eos_token", 3}});
  EXPECT_EQ(fault(),
            "tokenizer_config.json: eos_token: expected the text of a token, found 3; fetch the "
            "file again");
  write("tokenizer_config.json", {{"added_tokens_decoder", {{"x", {{"content", "<x>"}}}}}});
  EXPECT_EQ(
      fault(),
      "tokenizer_config.json: added_tokens_decoder.x: expected an id from 0 to 4194303, found "
      "\"x\"; fetch the file again");
  write("tokenizer_config.json", {{"add_bos_token", "yes"}});
  EXPECT_EQ(
      fault(),
      "tokenizer_config.json: add_bos_token: expected true or false, found \"yes\"; fetch the "
      "file again");
  write("tokenizer_config.json", json::object());
  write("added_tokens.json", {{"<x>", -1}});
  EXPECT_EQ(fault(),
            "added_tokens.json: <x>: expected an id from 0 to 4194303, found -1; fetch the file "
            "again");
  write("added_tokens.json", json::object());
  fs::remove(folder_ / "tokenizer.model");
  take_json();
  write("added_tokens.json", {{"<z>", 1}});
  EXPECT_EQ(fault(),
            "added_tokens.json: token \"<z>\" has the id 1, which tokenizer.json gives to \"b\"; "
            "take all tokenizer files from one version of the model");
}

TEST_F(Companions, OtherTokenizersAreNamed) {
  write("vocab.json", std::string("{}"));
  write("merges.txt", std::string(""));
  EXPECT_THAT(fault(), ::testing::HasSubstr(
                           "vocab.json and merges.txt are not read: "
                           "`AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`"));
  fs::remove(folder_ / "vocab.json");
  write("tekken.json", std::string("{}"));
  EXPECT_THAT(fault(), ::testing::HasSubstr("tekken.json is not read: fetch tokenizer.json"));
}

TEST_F(Companions, IdsBeyondTheModelAreRefusedWhereTheyOccur) {
  take_json();
  write("tokenizer_config.json", {{"pad_token", "<pad>"}});
  const auto tokenizer = load();
  tokenizer->limit_ids(4);
  EXPECT_EQ(*tokenizer->encode("ab"), (Ids{0, 1}));
  const auto refused = tokenizer->encode("a<pad>");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_EQ(refused.error().message,
            (folder_ / "tokenizer.json").string() +
                ": the text holds the token \"<pad>\" with id 4, and the model has embeddings for "
                "ids below 4 (vocab_size of config.json); remove it from the text, or use the "
                "tokenizer that was published with the model");
}

}  // namespace
}  // namespace dbsa
