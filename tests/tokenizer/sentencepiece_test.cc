#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tokenizer/tokenizer.h"
#include "tests/tokenizer/reference_files.h"

namespace dbsa {
namespace {

using testing::load_reference;
using testing::read_bytes;
using testing::reference_dir;

TEST(SentencePiece, TokensAreFoundByTheirText) {
  const auto tokenizer = load_reference("sentencepiece_bpe");
  EXPECT_EQ(tokenizer->vocab_size(), 3000);
  EXPECT_EQ(tokenizer->token_id("<unk>"), 0);
  EXPECT_EQ(tokenizer->token_id("<s>"), 1);
  EXPECT_EQ(tokenizer->token_id("</s>"), 2);
  EXPECT_EQ(tokenizer->token_id("no such piece"), std::nullopt);
  EXPECT_EQ(tokenizer->token_id(""), std::nullopt);
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_FALSE(tokenizer->is_special(*tokenizer->token_id("[INST]")));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(3000));
}

TEST(SentencePiece, ControlPiecesInTheTextAreSpecialTokens) {
  const auto tokenizer = load_reference("sentencepiece_bpe");
  const std::vector<int32_t> parsed = *tokenizer->encode("<s>the</s>");
  ASSERT_GE(parsed.size(), 3u);
  EXPECT_EQ(parsed.front(), 1);
  EXPECT_EQ(parsed.back(), 2);
  EXPECT_EQ(tokenizer->decode(parsed), "the");
  EXPECT_EQ(tokenizer->decode(parsed, {.skip_special = false}), "<s>the</s>");
  const std::vector<int32_t> plain = *tokenizer->encode("<s>the</s>", {.parse_special = false});
  EXPECT_THAT(plain, ::testing::Not(::testing::Contains(1)));
  EXPECT_EQ(tokenizer->decode(plain), "<s>the</s>");
}

// Every separate text begins with the dummy prefix, so the ids of two blocks are not the ids of
// the joined text: the second block carries a space more.
TEST(SentencePiece, EachBlockBeginsWithTheDummyPrefix) {
  const auto tokenizer = load_reference("sentencepiece_bpe");
  EXPECT_TRUE(tokenizer->starts_with_space());
  const std::vector<int32_t> the = {*tokenizer->token_id("\u2581the")};
  EXPECT_EQ(*tokenizer->encode("the"), the);
  EXPECT_EQ(tokenizer->decode(the), "the");
  std::vector<int32_t> blocks = *tokenizer->encode("the");
  blocks.push_back(the[0]);
  EXPECT_EQ(tokenizer->decode(blocks), "the the");
  EXPECT_NE(*tokenizer->encode("thethe"), blocks);
  EXPECT_EQ(*tokenizer->encode("the the"), blocks);
}

TEST(SentencePiece, IdsOutsideTheVocabularyContributeNothing) {
  const auto tokenizer = load_reference("sentencepiece_bpe");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{-5, *tokenizer->token_id("\u2581the"), 1 << 30}),
            "the");
}

TEST(SentencePiece, DamagedModelsAreRefused) {
  const std::string bytes = read_bytes(reference_dir() / "sentencepiece_bpe" / "tokenizer.model");
  for (const std::string& damaged :
       {std::string(), std::string("{}"), bytes.substr(0, bytes.size() / 2 + 1)}) {
    const auto tokenizer = Tokenizer::from_sentencepiece(damaged, "m/tokenizer.model");
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kEnvironment);
    EXPECT_THAT(
        tokenizer.error().message,
        ::testing::MatchesRegex("m/tokenizer.model: not a sentencepiece model \\(.*\\); copy or "
                                "download it again"));
  }
}

}  // namespace
}  // namespace dbsa
