#include "icl/prompt.h"

#include <gtest/gtest.h>

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
