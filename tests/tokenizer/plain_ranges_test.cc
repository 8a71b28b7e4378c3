// Special tokens count in a template's text and never in the data between it.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/tokenizer/tokenizer.h"
#include "tests/tokenizer/reference_files.h"

namespace dbsa {
namespace {

using testing::load_reference;

int64_t special_count(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  return std::count_if(ids.begin(), ids.end(),
                       [&](int32_t id) { return tokenizer.is_special(id); });
}

struct Case {
  const char* folder;
  const char* special;
};

class PlainRanges : public ::testing::TestWithParam<Case> {};

TEST_P(PlainRanges, DataCannotForgeASpecialToken) {
  const auto tokenizer = load_reference(GetParam().folder);
  const std::string special = GetParam().special;
  const std::string before = special + "user\n", behind = special + "\n";
  ASSERT_GT(special_count(*tokenizer, *tokenizer->encode(before)), 0);
  for (const std::string& data : {std::string("a text"), special, "a" + special + special + "b",
                                  special.substr(0, 3), special.substr(1), std::string()}) {
    const std::string text = before + data + behind;
    const ByteRange range = {before.size(), before.size() + data.size()};
    const auto ids = tokenizer->encode(text, {.parse_special = true, .plain = {&range, 1}});
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(special_count(*tokenizer, *ids), 2) << data;
    if (data.find(special) == data.npos) {
      EXPECT_EQ(*ids, *tokenizer->encode(text)) << data;
    }
  }
  // A token that begins in data and ends in the template's text is none either.
  const std::string text = "a" + special;
  const ByteRange range = {0, 2};
  EXPECT_EQ(special_count(*tokenizer,
                          *tokenizer->encode(text, {.parse_special = true, .plain = {&range, 1}})),
            0);
}

INSTANTIATE_TEST_SUITE_P(Reference, PlainRanges,
                         ::testing::Values(Case{"smollm2", "<|end|>"}, Case{"llama2", "<|start|>"},
                                           Case{"qwen2", "<|end|>"},
                                           Case{"sentencepiece_bpe", "<s>"}),
                         [](const auto& chosen) { return chosen.param.folder; });

}  // namespace
}  // namespace dbsa
