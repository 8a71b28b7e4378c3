// No text drives a terminal.
#include "tools/dbsa-pipe/terminal/visible_text.h"

#include <gtest/gtest.h>

namespace dbsa::cli {
namespace {

TEST(VisibleText, ShowsWhatDrivesATerminal) {
  EXPECT_EQ(visible_text("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(visible_text(std::string_view("\0\a\b\r\x7f", 5)), "\\x00\\x07\\x08\\x0d\\u007f");
  EXPECT_EQ(visible_text("\u0080\u009b\u009f"), "\\u0080\\u009b\\u009f");
  EXPECT_EQ(visible_text("\u202a\u202e\u2066\u2069"), "\\u202a\\u202e\\u2066\\u2069");
  EXPECT_EQ(visible_text("\x9b[31m\xff\xc3"), "\\x9b[31m\\xff\\xc3");
  EXPECT_EQ(visible_text("\xc0\xaf\xed\xa0\x80"), "\\xc0\\xaf\\xed\\xa0\\x80");  // not UTF-8 either
}

TEST(VisibleText, LeavesOtherTextAlone) {
  for (const char* text : {"", "plain ~!", "\u00a0\u00e9 \u2029 \u202f \u2065 \u206a",
                           "\u4e2d\u6587 \U0001F600 \u0627"})
    EXPECT_EQ(visible_text(text), text);
}

TEST(VisibleText, KeepsNewlinesAndTabsOfLines) {
  EXPECT_EQ(visible_text("a\tb\nc"), "a\\tb\\nc");
  EXPECT_EQ(visible_lines("a\tb\nc\r\n"), "a\tb\nc\\x0d\n");
}

}  // namespace
}  // namespace dbsa::cli
