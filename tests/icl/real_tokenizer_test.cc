// Prompt, blocks and labels with real tokenizers of every kind the framework reads: what a label's
// ids promise - that they follow the query exactly as a demonstration shows them - holds for all.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "icl/blocks.h"
#include "icl/label_tokens.h"
#include "icl/label_trie.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/icl/label_at.h"

namespace dbsa::testing {
namespace {

using Ids = std::vector<int32_t>;

struct Wrapped {
  std::unique_ptr<Tokenizer> tokenizer;
  Tokenize tokenize;
  Detokenize detokenize;
};

Wrapped wrap(const std::filesystem::path& folder) {
  auto loaded = Tokenizer::load(folder);
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  Wrapped wrapped = {std::move(loaded).value(), {}, {}};
  const Tokenizer* raw = wrapped.tokenizer.get();
  wrapped.tokenize = [raw](std::string_view text) {
    return raw->encode(text, {.parse_special = false});
  };
  wrapped.detokenize = [raw](std::span<const int32_t> ids) {
    return raw->decode(ids, {.skip_special = false});
  };
  return wrapped;
}

Ids concatenate(std::initializer_list<Ids> parts) {
  Ids whole;
  for (const Ids& part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

// A text after a trip through the tokenizer.
std::string round_trip(const Wrapped& wrapped, const std::string& text) {
  const auto ids = wrapped.tokenize(text);
  EXPECT_TRUE(ids.ok());
  return wrapped.detokenize(*ids);
}

// ids(query) + label + terminator = ids(demonstration), for every example.
void expect_labels_fit(const Wrapped& wrapped, const std::vector<Example>& examples,
                       const PromptFormat& format) {
  const std::vector<std::string> labels = label_table(examples);
  const auto tokens = tokenize_labels(labels, format, wrapped.tokenize, wrapped.detokenize);
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  // A sentencepiece model may make spaces of line ends and drop them at the end of a text. What is
  // left of the separator then counts as part of each label.
  const std::string end = format.separator + "b";
  const bool keeps_separator = round_trip(wrapped, "a" + end).ends_with(end);
  for (const Example& example : examples) {
    const auto at = std::lower_bound(labels.begin(), labels.end(), example.label) - labels.begin();
    const LabelTokens& label = (*tokens)[at];
    const auto query = wrapped.tokenize(query_text(format, example.text));
    const auto demonstration = wrapped.tokenize(demonstration_text(format, example));
    ASSERT_TRUE(query.ok() && demonstration.ok());
    EXPECT_EQ(concatenate({*query, label.ids, label.terminator}), *demonstration)
        << demonstration_text(format, example);
    EXPECT_EQ(label.terminator.empty(), !keeps_separator);
  }
  if (!keeps_separator) return;
  const auto trie = LabelTrie::build(*tokens, labels);
  ASSERT_TRUE(trie.ok()) << trie.error().message;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto& ids = (*tokens)[i].ids;
    const int32_t open = label_at(*trie, ids);
    const Ids closed = concatenate({ids, {(*tokens)[i].terminator[0]}});
    EXPECT_TRUE(open == static_cast<int32_t>(i) ||
                label_at(*trie, closed) == static_cast<int32_t>(i))
        << labels[i];
  }
}

class EveryTokenizer : public ::testing::TestWithParam<const char*> {
 protected:
  Wrapped wrapped() const {
    return wrap(std::filesystem::path(DBSA_SOURCE_DIR "/tests/tokenizer/reference") / GetParam());
  }
};

// Labels that begin others, that end in punctuation or digits, that are not English.
const std::vector<Example> kOddLabels = {
    {"where is my card?", "card arrival", 1},
    {"and now?", "card", 2},
    {"how much is it", "fee (cash)", 3},
    {"Who wrote 'Emma'?", "HUM:ind", 4},
    {"no text", "card arrival date", 5},
    {"x", "12", 6},
    {"y", "123", 7},
    {"caf\xC3\xA9 ou th\xC3\xA9", "d\xC3\xA9j\xC3\xA0 vu?", 8},
    {"\xE4\xBD\xA0\xE5\xA5\xBD", "\xE9\x97\xAE\xE5\x80\x99", 9},
};

TEST_P(EveryTokenizer, LabelsFollowTheQueryAsDemonstrationsShow) {
  const Wrapped w = wrapped();
  expect_labels_fit(w, kOddLabels, PromptFormat{});
  expect_labels_fit(w, kOddLabels, PromptFormat{"Question: ", "Type: ", "\n==\n"});
  expect_labels_fit(w, kOddLabels, PromptFormat{"", "Answer: ", "\n\n"});
}

// Each block is a separate text, so a tokenizer with a dummy prefix (sentencepiece, the Llama-2
// kind) begins each block with it: the first demonstration of a block may differ from the others by
// that space, and by nothing else.
TEST_P(EveryTokenizer, ADummyPrefixStandsAtEveryBlocksStart) {
  const Wrapped w = wrapped();
  const std::vector<std::vector<int64_t>> groups = {{0}, {1}, {0, 1}};
  const auto blocks = build_blocks(kOddLabels, groups, PromptFormat{}, w.tokenize, std::nullopt);
  ASSERT_TRUE(blocks.ok());
  for (const Block& block : *blocks) {
    const auto alone = w.tokenize(block.text);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(block.tokens, *alone);
  }
  const Ids joined = concatenate({(*blocks)[0].tokens, (*blocks)[1].tokens});
  const std::string seam = w.detokenize(joined);
  if (!w.tokenizer->starts_with_space()) {
    EXPECT_EQ((*blocks)[2].tokens, joined) << "without a dummy prefix blocks simply join";
  } else if (seam.find('\n') != std::string::npos) {  // else line ends read as spaces anyway
    EXPECT_NE((*blocks)[2].tokens, joined);
    EXPECT_NE(seam.find("==\n query: and now?"), std::string::npos) << seam;
  }
}

INSTANTIATE_TEST_SUITE_P(Reference, EveryTokenizer,
                         ::testing::Values("gpt2", "gpt2_prefix_space", "llama2",
                                           "llama2_metaspace", "llama3", "metaspace_always",
                                           "mistral_nemo", "qwen2", "sentencepiece_bpe",
                                           "sentencepiece_unigram", "smollm2"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(RealData, LabelsFollowTheQueryInBanking77AndTrec) {
  const char* variable = std::getenv("DBSA_DATA");
  const std::filesystem::path folder =
      variable != nullptr ? variable : DBSA_SOURCE_DIR "/../shared";
  if (!std::filesystem::exists(folder / "models/icl-4m/tokenizer.json"))
    GTEST_SKIP() << folder << " has no models/icl-4m; set DBSA_DATA to the folder that has";
  const Wrapped w = wrap(folder / "models/icl-4m");
  for (const auto& [set, format] : {std::pair{"banking77", PromptFormat{}},
                                    {"trec", PromptFormat{"Question: ", "Type: ", "\n==\n"}},
                                    {"nlu", PromptFormat{"utterance: ", "intent: ", "\n==\n"}}}) {
    auto examples =
        load_dataset(folder / "data" / set / "test.jsonl", "text", "label", LabelPolicy::kRequired);
    ASSERT_TRUE(examples.ok()) << examples.error().message;
    const auto indices = load_indices(folder / "data" / set / "test_indices.json",
                                      static_cast<int64_t>(examples->size()));
    ASSERT_TRUE(indices.ok()) << indices.error().message;
    EXPECT_EQ(indices->size(), 250u) << "the paper's queries";
    expect_labels_fit(w, *examples, format);
  }
}

}  // namespace
}  // namespace dbsa::testing
