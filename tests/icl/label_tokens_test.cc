#include "icl/label_tokens.h"

#include <gtest/gtest.h>

#include "tests/icl/toy_tokenizer.h"

namespace dbsa::testing {
namespace {

const PromptFormat kDefaultFormat;  // "intent: ", "\n==\n"

Result<std::vector<LabelTokens>> tokens_of(const ToyTokenizer& tokenizer,
                                           const std::vector<std::string>& labels,
                                           const PromptFormat& format = kDefaultFormat) {
  return tokenize_labels(labels, format, tokenizer.tokenize(), tokenizer.detokenize());
}

TEST(LabelTokens, BeginAfterTheLeadAndEndBeforeTheSeparator) {
  const ToyTokenizer tokenizer({" card", "\n==\n", "intent"});
  const auto tokens = tokens_of(tokenizer, {"card x", "b"});
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ((*tokens)[0].ids, (std::vector<int32_t>{256, ' ', 'x'}));
  EXPECT_EQ((*tokens)[0].terminator, (std::vector<int32_t>{257}));
  EXPECT_EQ((*tokens)[1].ids, (std::vector<int32_t>{' ', 'b'}));
}

TEST(LabelTokens, KeepATokenThatSpansTheCut) {
  const ToyTokenizer tokenizer({"d?\n", "==\n"});
  const auto tokens = tokens_of(tokenizer, {"bad?", "bad"});
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ((*tokens)[0].ids, (std::vector<int32_t>{' ', 'b', 'a', 256}));
  EXPECT_EQ((*tokens)[0].terminator, (std::vector<int32_t>{257}));
  EXPECT_EQ((*tokens)[1].ids, (std::vector<int32_t>{' ', 'b', 'a', 'd'}));
  EXPECT_EQ((*tokens)[1].terminator, (std::vector<int32_t>{'\n', 257}));
}

TEST(LabelTokens, KeepATokenThatSpansTheWholeSeparator) {
  const ToyTokenizer tokenizer({"d\n==\n"});
  const auto tokens = tokens_of(tokenizer, {"bad"});
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ((*tokens)[0].ids, (std::vector<int32_t>{' ', 'b', 'a', 256}));
  EXPECT_TRUE((*tokens)[0].terminator.empty());
}

TEST(LabelTokens, AreNotFooledByALabelThatLooksLikeTheSeparator) {
  const ToyTokenizer tokenizer;
  const auto tokens = tokens_of(tokenizer, {"a\n==\n\n==", "=="});
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(tokenizer.decode((*tokens)[0].ids), " a\n==\n\n==");
  EXPECT_EQ(tokenizer.decode((*tokens)[1].ids), " ==");
  EXPECT_EQ(tokenizer.decode((*tokens)[1].terminator), "\n==\n");
}

// A separator of several bytes a character, where single tokens decode to nothing valid.
TEST(LabelTokens, FindASeparatorOfCutCharacters) {
  const ToyTokenizer tokenizer;
  const Detokenize detokenize = [&](std::span<const int32_t> ids) {
    std::string text = tokenizer.decode(ids);
    size_t broken = 0;
    while (broken < text.size() && (static_cast<uint8_t>(text[broken]) & 0xC0) == 0x80) ++broken;
    std::string fixed;
    for (size_t i = 0; i < broken; ++i) fixed += "\xEF\xBF\xBD";
    return fixed + text.substr(broken);
  };
  const PromptFormat format = {"q: ", "a: ", "\xE2\x97\x86"};
  const std::vector<std::string> labels = {"x\xC3\xA9"};
  const auto tokens = tokenize_labels(labels, format, tokenizer.tokenize(), detokenize);
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(tokenizer.decode((*tokens)[0].ids), " x\xC3\xA9");
  EXPECT_EQ(tokenizer.decode((*tokens)[0].terminator), "\xE2\x97\x86");
}

TEST(LabelTokens, RefuseALeadThatMergesWithTheLabel) {
  const ToyTokenizer tokenizer({": urgent"});
  const auto tokens = tokens_of(tokenizer, {"calm", "urgent"});
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.error().code, ErrorCode::kConfig);
  EXPECT_EQ(tokens.error().config_pointer, "/prompt/output_prefix");
  EXPECT_EQ(tokens.error().message,
            "label \"urgent\": one token spans the end of prompt.output_prefix \"intent:\" and the "
            "start of the label; end the output prefix in \": \" or "
            "change the label");
}

TEST(LabelTokens, RefuseALabelThatVanishes) {
  const ToyTokenizer tokenizer;
  const Detokenize silent = [](std::span<const int32_t>) { return std::string(); };
  const std::vector<std::string> labels = {"x"};
  const auto tokens = tokenize_labels(labels, kDefaultFormat, tokenizer.tokenize(), silent);
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(tokens.error().message,
            "label \"x\": expected tokens between prompt.output_prefix and prompt.separator "
            "\"\\n==\\n\", found none; choose a separator that no label ends in");
}

}  // namespace
}  // namespace dbsa::testing
