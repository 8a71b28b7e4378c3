#include "pipeline/label_decoder.h"

#include <gtest/gtest.h>

namespace dbsa {
namespace {

using Texts = std::vector<std::string>;

TEST(FindStop, TakesTheFirstPlaceOfAnyStop) {
  EXPECT_EQ(find_stop("one\n==\ntwo", Texts{"\n==\n"}), 3u);
  EXPECT_EQ(find_stop("one. two\n==\n", Texts{"\n==\n", ". "}), 3u);
  EXPECT_EQ(find_stop("a, b. c", Texts{". ", ", "}), 1u);
  EXPECT_EQ(find_stop("abcd", Texts{"bcd", "abc"}), 0u);
  EXPECT_EQ(find_stop("\xC3\xA9\xE2\x80\xA6", Texts{"\xE2\x80\xA6"}), 2u);
  EXPECT_EQ(find_stop("one\n=", Texts{"\n==\n", ". "}), std::nullopt);
  EXPECT_EQ(find_stop("", Texts{"x"}), std::nullopt);
  EXPECT_EQ(find_stop("x", Texts{}), std::nullopt);
}

}  // namespace
}  // namespace dbsa
