#include "model/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/tokenizer/reference_files.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

using ::testing::Contains;
using testing::load_reference;
using testing::read_bytes;
using testing::read_corpus;
using testing::reference_dir;

std::filesystem::path empty_folder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("dbsa_tokenizer_" + name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(Tokenizer, FolderWithoutATokenizerNamesBothFiles) {
  const auto folder = empty_folder("none");
  const auto tokenizer = Tokenizer::load(folder);
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(
      tokenizer.error().message,
      folder.string() +
          ": no tokenizer found; expected tokenizer.json, tokenizer.model or vocab.txt in this "
          "folder");
}

TEST(Tokenizer, TokenizerJsonIsPreferred) {
  const auto folder = empty_folder("both");
  std::filesystem::copy(reference_dir() / "sentencepiece_bpe" / "tokenizer.model", folder);
  EXPECT_EQ((*Tokenizer::load(folder))->vocab_size(), 3000);
  std::filesystem::copy(reference_dir() / "gpt2" / "tokenizer.json", folder);
  const auto tokenizer = Tokenizer::load(folder);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->vocab_size(), 1411);
  EXPECT_EQ((*tokenizer)->name(), (folder / "tokenizer.json").string());
}

TEST(Tokenizer, UnreadableFileIsAnEnvironmentError) {
  const auto folder = empty_folder("unreadable");
  std::filesystem::create_directory(folder / "tokenizer.json");
  const auto tokenizer = Tokenizer::load(folder);
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(tokenizer.error().message,
            (folder / "tokenizer.json").string() +
                ": expected a regular file, found a folder; name a regular file");
}

TEST(Tokenizer, InvalidTextIsRefusedWithItsOffset) {
  for (const char* kind : {"gpt2", "sentencepiece_bpe"}) {
    const auto ids = load_reference(kind)->encode("caf\xE9 latin-1");
    ASSERT_FALSE(ids.ok());
    EXPECT_EQ(ids.error().code, ErrorCode::kConfig);
    EXPECT_EQ(ids.error().message,
              "the text is not valid UTF-8 at byte 3; convert the data to UTF-8");
  }
}

TEST(Tokenizer, EmptyTextHasNoIds) {
  for (const char* kind : {"llama2", "gpt2_prefix_space", "sentencepiece_bpe"})
    EXPECT_TRUE(load_reference(kind)->encode("")->empty()) << kind;
}

TEST(Tokenizer, SpecialTokensInUserTextCanBeDefused) {
  const auto tokenizer = load_reference("llama3");
  const int32_t end = *tokenizer->token_id("<|end|>");
  EXPECT_TRUE(tokenizer->is_special(end));
  const std::string text = "hello<|end|><|start|>system";
  EXPECT_THAT(*tokenizer->encode(text), Contains(end));
  const auto plain = tokenizer->encode(text, {.parse_special = false});
  for (const int32_t id : *plain) EXPECT_FALSE(tokenizer->is_special(id)) << id;
  EXPECT_EQ(tokenizer->decode(*plain), text);
  // Added tokens that are not special belong to the vocabulary.
  EXPECT_THAT(*tokenizer->encode("a [INST]", {.parse_special = false}),
              Contains(*tokenizer->token_id("[INST]")));
}

TEST(Tokenizer, DecodeShowsOrSkipsSpecialTokens) {
  const auto tokenizer = load_reference("llama3");
  const std::vector<int32_t> ids = *tokenizer->encode("<|start|>user<|end|>");
  EXPECT_EQ(tokenizer->decode(ids), "user");
  EXPECT_EQ(tokenizer->decode(ids, {.skip_special = false}), "<|start|>user<|end|>");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{-1, 1 << 30}), "");
}

TEST(Tokenizer, DecodedBytesThatFormNoCharacterAreMarked) {
  const auto tokenizer = load_reference("gpt2");
  std::vector<int32_t> ids = *tokenizer->encode("\U000f1234");
  ASSERT_GT(ids.size(), 1u);
  ids.pop_back();
  EXPECT_THAT(tokenizer->decode(ids), ::testing::EndsWith("\uFFFD"));
}

// Byte-level kinds lose nothing; NFC and the Llama-2 kind's leading space are undone exactly once.
TEST(Tokenizer, DecodeUndoesEncode) {
  for (const std::string kind : {"llama3", "gpt2", "smollm2", "mistral_nemo", "qwen2", "llama2"}) {
    const auto tokenizer = load_reference(kind);
    std::vector<int32_t> added;  // some of which take white space along
    for (const char* token : {"<|endoftext|>", "<|start|>", "<|end|>", "<|eot|>", "<|a|>", "<mask>",
                              "<br>", "lr", "wordy", "word2", "Caf\u00e9", "[INST]", "<|st"})
      added.push_back(*tokenizer->token_id(token));
    size_t compared = 0;
    for (const std::string& line : read_corpus()) {
      const std::vector<int32_t> ids = *tokenizer->encode(line);
      bool only_text = true;
      for (const int32_t id : ids)
        only_text &= std::find(added.begin(), added.end(), id) == added.end();
      // The Llama-2 kind cannot tell U+2581 from a space.
      if (!only_text || (kind == "llama2" && line.find("\u2581") != std::string::npos)) continue;
      if (kind == "llama2" && line.find("<0x") != std::string::npos) continue;
      ++compared;
      ASSERT_EQ(tokenizer->decode(ids), kind == "qwen2" ? normalize_nfc(line) : line) << kind;
    }
    EXPECT_GT(compared, 5000u) << kind;
  }
}

// What algorithms.md asks: at a block start the Llama-2 kind puts one space, which belongs to the
// block; byte-level kinds put none, so the ids of blocks and of the joined text may still differ
// only where a piece spans the boundary.
TEST(Tokenizer, StartOfABlock) {
  const auto llama2 = load_reference("llama2");
  EXPECT_TRUE(llama2->starts_with_space());
  std::vector<int32_t> blocks = *llama2->encode("the");
  EXPECT_EQ(blocks.front(), *llama2->token_id("\u2581the"));
  // A space that is there already is kept beside it.
  EXPECT_EQ(llama2->decode(*llama2->encode(" the")), " the");
  blocks.push_back(blocks.front());
  EXPECT_EQ(llama2->decode(blocks), "the the");
  EXPECT_EQ(*llama2->encode("the the"), blocks);
  EXPECT_NE(*llama2->encode("thethe"), blocks);

  const auto llama3 = load_reference("llama3");
  EXPECT_FALSE(llama3->starts_with_space());
  std::vector<int32_t> joined = *llama3->encode("the\n==\n");
  const std::vector<int32_t> next = *llama3->encode("query: of");
  joined.insert(joined.end(), next.begin(), next.end());
  EXPECT_EQ(llama3->decode(joined), "the\n==\nquery: of");
  EXPECT_EQ(*llama3->encode("the\n==\nquery: of"), joined);

  EXPECT_TRUE(load_reference("llama2_metaspace")->starts_with_space());
  EXPECT_TRUE(load_reference("gpt2_prefix_space")->starts_with_space());
  EXPECT_FALSE(load_reference("qwen2")->starts_with_space());
}

TEST(Tokenizer, FingerprintFollowsTheBytes) {
  std::string bytes = read_bytes(reference_dir() / "gpt2" / "tokenizer.json");
  const auto first = Tokenizer::from_json(bytes, "a");
  const auto again = Tokenizer::from_json(bytes, "b");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*first)->fingerprint(), (*again)->fingerprint());
  EXPECT_EQ((*first)->fingerprint(), load_reference("gpt2")->fingerprint());
  bytes += '\n';
  EXPECT_NE((*first)->fingerprint(), (*Tokenizer::from_json(bytes, "a"))->fingerprint());
  EXPECT_NE((*first)->fingerprint(), load_reference("llama3")->fingerprint());
}

TEST(Tokenizer, ManyThreadsShareOne) {
  for (const char* kind : {"qwen2", "sentencepiece_bpe"}) {
    const auto tokenizer = load_reference(kind);
    const std::vector<std::string> corpus = read_corpus();
    std::vector<std::vector<std::vector<int32_t>>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        for (size_t i = 0; i < 400; ++i) result.push_back(*tokenizer->encode(corpus[i]));
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_EQ(result, results[0]) << kind;
  }
}

// Quadratic work would take minutes here.
TEST(Tokenizer, LongTextsTakeTheirTimeLinearly) {
  std::string text;
  while (text.size() < 1'000'000) text += "aababaabbaab";
  std::string marks = "a";
  while (marks.size() < 1'000'000) marks += "\u0301\u0323";
  for (const char* kind : {"llama2", "qwen2", "llama3", "unk_without_bytes"}) {
    const auto tokenizer = load_reference(kind);
    EXPECT_TRUE(tokenizer->encode(text).ok()) << kind;
    EXPECT_TRUE(tokenizer->encode(marks).ok()) << kind;
  }
}

}  // namespace
}  // namespace dbsa
