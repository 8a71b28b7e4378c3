#include "icl/prompt.h"

#include <gtest/gtest.h>

#include "tests/icl/toy_tokenizer.h"

namespace dbsa::testing {
namespace {

const PromptFormat kBanking;
const PromptFormat kTrec = {"Question: ", "Type: ", "\n==\n"};

TEST(Prompt, WritesDemonstrationsAndQueries) {
  EXPECT_EQ(demonstration_text(kBanking, {"where is my card?", "card arrival", 1}),
            "query: where is my card?\nintent: card arrival\n==\n");
  EXPECT_EQ(query_text(kBanking, "where is my card?"), "query: where is my card?\nintent:");
  EXPECT_EQ(query_text(kTrec, "Who? "), "Question: Who? \nType:");
}

TEST(Prompt, ALabelFollowsTheQueryAsInADemonstration) {
  for (const PromptFormat& format :
       {kBanking, kTrec, PromptFormat{"", "Label:\n\t", "##"}, PromptFormat{"", "=>", "\n"}}) {
    const Example example = {"some text", "a label", 1};
    EXPECT_EQ(query_text(format, example.text) + std::string(label_gap(format)) + example.label +
                  format.separator,
              demonstration_text(format, example));
  }
  EXPECT_EQ(label_lead(kBanking), "intent:");
  EXPECT_EQ(label_gap(kBanking), " ");
}

// White space that is a separate token stays before a free answer; a space that joins the
// answer's first token is left to the model.
TEST(Prompt, AFreeAnswerFollowsTheWhiteSpaceThatDemonstrationsShow) {
  const auto lead = [](const std::string& prefix, std::vector<std::string> pieces) {
    const ToyTokenizer tokenizer(std::move(pieces));
    return *free_answer_lead({"", prefix, "##"}, tokenizer.tokenize());
  };
  EXPECT_EQ(lead("intent: ", {" a"}), "intent:");
  EXPECT_EQ(lead("intent: ", {}), "intent: ") << "the space is a token";
  EXPECT_EQ(lead("intent:\n", {" a"}), "intent:\n");
  EXPECT_EQ(lead("intent:\n", {":\n", " a"}), "intent:\n") << "one token with the colon";
  EXPECT_EQ(lead("intent:\n ", {" a"}), "intent:\n");
  EXPECT_EQ(lead("intent:  ", {" a"}), "intent: ");
  EXPECT_EQ(lead("intent:\n\n", {"\n\n"}), "intent:\n\n");
  EXPECT_EQ(lead("=>", {}), "=>");
  EXPECT_EQ(lead("=> ", {"=> a"}), "=> ") << "one token spans prefix and answer";
}

TEST(Prompt, RefusesFormatsWithoutALeadOrSeparator) {
  EXPECT_TRUE(check_prompt(kBanking).ok());
  const Status lead = check_prompt({"q: ", " \n", "\n"});
  ASSERT_FALSE(lead.ok());
  EXPECT_EQ(lead.error().message,
            "prompt.output_prefix: expected text that announces the label, found \" \\n\"; write "
            "e.g. \"label: \"");
  EXPECT_EQ(lead.error().config_pointer, "/prompt/output_prefix");
  const Status separator = check_prompt({"q: ", "a: ", ""});
  ASSERT_FALSE(separator.ok());
  EXPECT_EQ(separator.error().message,
            "prompt.separator: expected text that ends a demonstration, found an empty one; write "
            "e.g. \"\\n==\\n\"");
  EXPECT_EQ(separator.error().config_pointer, "/prompt/separator");
}

}  // namespace
}  // namespace dbsa::testing
