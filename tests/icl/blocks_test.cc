#include "icl/blocks.h"

#include <gtest/gtest.h>

#include "tests/icl/toy_tokenizer.h"

namespace dbsa::testing {
namespace {

const std::vector<Example> kThree = {{"one", "x", 1}, {"two", "y", 2}, {"three", "x", 3}};
const PromptFormat kFormat;

TEST(Blocks, AreTokenisedWholeAndApart) {
  // A piece across demonstrations is one token inside a block, and cannot cross blocks.
  const ToyTokenizer tokenizer({"==\nquery"});
  const std::vector<std::vector<int64_t>> groups = {{2, 0}, {1}};
  const auto blocks = build_blocks(kThree, groups, kFormat, tokenizer.tokenize(), std::nullopt);
  ASSERT_TRUE(blocks.ok());
  ASSERT_EQ(blocks->size(), 2u);
  const Block& first = (*blocks)[0];
  EXPECT_EQ(first.text, "query: three\nintent: x\n==\nquery: one\nintent: x\n==\n");
  EXPECT_EQ(first.demonstrations, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(first.tokens, tokenizer.encode(first.text));
  EXPECT_EQ(std::count(first.tokens.begin(), first.tokens.end(), 256), 1);
  EXPECT_EQ((*blocks)[1].text, "query: two\nintent: y\n==\n");
  EXPECT_EQ(std::count((*blocks)[1].tokens.begin(), (*blocks)[1].tokens.end(), 256), 0);
}

TEST(Blocks, BosStandsBeforeTheFirstBlockOnly) {
  const ToyTokenizer tokenizer;
  const std::vector<std::vector<int64_t>> groups = {{0}, {1}};
  const auto plain = build_blocks(kThree, groups, kFormat, tokenizer.tokenize(), std::nullopt);
  const auto bos = build_blocks(kThree, groups, kFormat, tokenizer.tokenize(), 999);
  ASSERT_TRUE(plain.ok() && bos.ok());
  EXPECT_EQ((*bos)[0].tokens.front(), 999);
  EXPECT_EQ((*bos)[0].tokens.size(), (*plain)[0].tokens.size() + 1);
  EXPECT_EQ((*bos)[0].text, (*plain)[0].text);
  EXPECT_EQ((*bos)[1].tokens, (*plain)[1].tokens);
}

TEST(Blocks, CountTokensOfEachDemonstration) {
  const ToyTokenizer tokenizer;
  const auto counts = count_tokens(kThree, kFormat, tokenizer.tokenize());
  ASSERT_TRUE(counts.ok());
  const std::string first = "query: one\nintent: x\n==\n";
  EXPECT_EQ((*counts)[0], static_cast<int64_t>(first.size()));
  EXPECT_EQ((*counts)[2], static_cast<int64_t>(first.size()) + 2);
}

TEST(Blocks, PassTheTokenizersErrorOn) {
  const Tokenize failing = [](std::string_view) -> Result<std::vector<int32_t>> {
    return Error{ErrorCode::kConfig, "no such character", ""};
  };
  const std::vector<std::vector<int64_t>> groups = {{0}};
  EXPECT_EQ(build_blocks(kThree, groups, kFormat, failing, std::nullopt).error().message,
            "no such character");
  EXPECT_EQ(count_tokens(kThree, kFormat, failing).error().message, "no such character");
}

TEST(PrefixBlock, IsBosThenHeadThenInstruction) {
  const ToyTokenizer plain;
  const ToyTokenizer special({"<|user|>"});
  const auto build = [&](std::optional<int32_t> bos, const char* head, const char* instruction) {
    return build_prefix_block(bos, head, instruction, kFormat, plain.tokenize(),
                              special.tokenize());
  };
  EXPECT_EQ(build(7, "", "")->tokens, (std::vector<int32_t>{7}));
  EXPECT_EQ(build(std::nullopt, "<|user|>", "")->tokens, (std::vector<int32_t>{256}));
  const auto whole = build(7, "<|user|>", "Go");
  EXPECT_EQ(whole->tokens, (std::vector<int32_t>{7, 256, 'G', 'o', '\n', '=', '=', '\n'}));
  EXPECT_EQ(whole->text, "<|user|>Go\n==\n");
  const auto none = build(std::nullopt, "", "");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().config_pointer, "/prompt/anchor");
  EXPECT_EQ(none.error().message,
            "prompt.anchor: expected bos = true, an instruction or a head for the prefix block, "
            "found none; set one, or write anchor = \"first_blocks\"");
}

TEST(Hashes, TellExamplesApart) {
  const Hash128 hash = hash_example({"ab", "c", 1});
  EXPECT_EQ(hash, hash_example({"ab", "c", 9})) << "the line is no part of it";
  EXPECT_NE(hash, hash_example({"a", "bc", 1}));
  EXPECT_NE(hash, hash_example({"ab", "d", 1}));
  EXPECT_EQ(hash.hex().size(), 32u);
  EXPECT_EQ((Hash128{1, 0xAB}.hex()), "000000000000000100000000000000ab");
}

}  // namespace
}  // namespace dbsa::testing
