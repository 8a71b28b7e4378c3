#include "model/tokenizer/bpe_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace dbsa {
namespace {

using ::testing::ElementsAre;
using Vocab = std::vector<std::pair<std::string, int64_t>>;
using Merges = std::vector<std::pair<std::string, std::string>>;

std::vector<int32_t> encode(const BpeModel& model, std::string_view piece) {
  BpeModel::Scratch scratch;
  std::vector<int32_t> ids;
  const Status status = model.encode(piece, scratch, ids);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return ids;
}

// The definition, word for word: find the pair of lowest rank, leftmost first, merge it, repeat.
std::vector<int32_t> encode_slowly(const Vocab& vocab, const Merges& merges,
                                   std::string_view piece) {
  const std::map<std::string, int64_t> ids(vocab.begin(), vocab.end());
  std::vector<std::string> symbols;
  for (const char c : piece) symbols.emplace_back(1, c);
  while (true) {
    size_t best = symbols.size();
    size_t best_rank = merges.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto it =
          std::find(merges.begin(), merges.end(), std::pair(symbols[i], symbols[i + 1]));
      const size_t rank = static_cast<size_t>(it - merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  std::vector<int32_t> out;
  for (const std::string& symbol : symbols) out.push_back(static_cast<int32_t>(ids.at(symbol)));
  return out;
}

TEST(BpeModel, EqualsTheDefinitionForShortAndLongPieces) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  for (int round = 0; round < 30; ++round) {
    Vocab vocab = {{"a", 0}, {"b", 1}, {"c", 2}};
    Merges merges;
    while (merges.size() < 40) {
      const std::string left = vocab[below(vocab.size())].first;
      const std::string right = vocab[below(vocab.size())].first;
      if (std::find(merges.begin(), merges.end(), std::pair(left, right)) != merges.end()) continue;
      const auto same = [&](const auto& entry) { return entry.first == left + right; };
      if (std::none_of(vocab.begin(), vocab.end(), same))
        vocab.emplace_back(left + right, static_cast<int64_t>(vocab.size()));
      merges.emplace_back(left, right);
    }
    const auto model = BpeModel::build(vocab, merges, {});
    ASSERT_TRUE(model.ok()) << model.error().message;
    for (const size_t length : {1, 2, 3, 17, 40, 41, 150}) {
      std::string piece;
      while (piece.size() < length) piece += static_cast<char>('a' + below(3));
      EXPECT_EQ(encode(*model, piece), encode_slowly(vocab, merges, piece)) << piece;
    }
  }
}

TEST(BpeModel, IgnoreMergesTakesWholePiecesFromTheVocabulary) {
  const Vocab vocab = {{"a", 0}, {"b", 1}, {"ab", 2}, {"aba", 3}};
  const Merges merges = {{"a", "b"}};
  BpeOptions options;
  EXPECT_THAT(encode(*BpeModel::build(vocab, merges, options), "aba"), ElementsAre(2, 0));
  options.ignore_merges = true;
  EXPECT_THAT(encode(*BpeModel::build(vocab, merges, options), "aba"), ElementsAre(3));
  EXPECT_THAT(encode(*BpeModel::build(vocab, merges, options), "abaa"), ElementsAre(2, 0, 0));
}

TEST(BpeModel, UnknownCharactersAreFusedOrNot) {
  const Vocab vocab = {{"a", 0}, {"?", 1}};
  BpeOptions options;
  options.unk_token = "?";
  EXPECT_THAT(encode(*BpeModel::build(vocab, {}, options), "xyaz"), ElementsAre(1, 1, 0, 1));
  options.fuse_unk = true;
  EXPECT_THAT(encode(*BpeModel::build(vocab, {}, options), "xyaz"), ElementsAre(1, 0, 1));
}

TEST(BpeModel, BytesStandInForCharactersIfAllAreThere) {
  const Vocab vocab = {{"a", 0}, {"?", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}};
  BpeOptions options;
  options.unk_token = "?";
  options.byte_fallback = true;
  EXPECT_THAT(encode(*BpeModel::build(vocab, {}, options), "a\u00e9a"), ElementsAre(0, 2, 3, 0));
  EXPECT_THAT(encode(*BpeModel::build(vocab, {}, options), "a\u00e8a"), ElementsAre(0, 1, 0));
}

TEST(BpeModel, CharacterWithoutAnyTokenIsAnError) {
  const auto model = BpeModel::build({{"a", 0}}, {}, {});
  BpeModel::Scratch scratch;
  std::vector<int32_t> ids;
  const Status status = model->encode("a\u20ac", scratch, ids);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kConfig);
  EXPECT_EQ(
      status.error().message,
      "the vocabulary has no token for \"\u20ac\" (U+20AC) and no unk_token; remove the character "
      "from the text");
}

}  // namespace
}  // namespace dbsa
