#include "icl/label_trie.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include "tests/icl/label_at.h"

namespace dbsa::testing {
namespace {

using Ids = std::vector<int32_t>;

std::vector<std::string> names_for(size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back("label " + std::to_string(i));
  return names;
}

Result<LabelTrie> trie_of(const std::vector<Ids>& ids, const Ids& terminator = {90, 91}) {
  std::vector<LabelTokens> tokens;
  for (const Ids& sequence : ids) tokens.push_back({sequence, terminator});
  return LabelTrie::build(tokens, names_for(ids.size()));
}

TEST(LabelTrie, NumbersNodesDepthFirst) {
  const auto trie = trie_of({{5, 6}, {7}, {5, 8, 9}});
  ASSERT_TRUE(trie.ok());
  ASSERT_EQ(trie->size(), 6);
  const Ids tokens = {-1, 5, 6, 8, 9, 7};
  const Ids parents = {-1, 0, 1, 1, 3, 0};
  const Ids depths = {0, 1, 2, 2, 3, 1};
  const Ids labels = {-1, -1, 0, -1, 2, 1};
  const Ids least = {0, 0, 0, 2, 2, 1};
  const Ids counts = {3, 2, 1, 1, 1, 1};
  for (int32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(trie->node(i).token, tokens[i]) << i;
    EXPECT_EQ(trie->node(i).parent, parents[i]) << i;
    EXPECT_EQ(trie->node(i).depth, depths[i]) << i;
    EXPECT_EQ(trie->node(i).label, labels[i]) << i;
    EXPECT_EQ(trie->node(i).min_label, least[i]) << i;
    EXPECT_EQ(trie->node(i).label_count, counts[i]) << i;
  }
  EXPECT_EQ(trie->inner_count(), 2);
  EXPECT_EQ(Ids(trie->children(0).begin(), trie->children(0).end()), (Ids{1, 5}));
  EXPECT_EQ(Ids(trie->children(1).begin(), trie->children(1).end()), (Ids{2, 3}));
  EXPECT_EQ(trie->path(4), (Ids{5, 8, 9}));
  EXPECT_EQ(trie->descend(3), 4);
  EXPECT_EQ(label_at(*trie, Ids{5, 8, 9}), 2);
  EXPECT_EQ(label_at(*trie, Ids{5, 8}), -1);
  EXPECT_EQ(label_at(*trie, Ids{5, 1}), -1);
}

TEST(LabelTrie, ClosesALabelThatBeginsAnother) {
  const auto trie = trie_of({{5}, {5, 6}, {5, 6, 7}});
  ASSERT_TRUE(trie.ok());
  EXPECT_EQ(label_at(*trie, Ids{5, 90}), 0);
  EXPECT_EQ(label_at(*trie, Ids{5, 6, 90}), 1);
  EXPECT_EQ(label_at(*trie, Ids{5, 6, 7}), 2) << "nothing else begins so";
}

TEST(LabelTrie, ClosesWithAsManyTokensAsItTakes) {
  const auto trie = trie_of({{5}, {5, 90, 6}});
  ASSERT_TRUE(trie.ok());
  EXPECT_EQ(label_at(*trie, Ids{5, 90, 91}), 0);
  EXPECT_EQ(label_at(*trie, Ids{5, 90, 6}), 1);
}

TEST(LabelTrie, RefusesLabelsItCannotTellApart) {
  const auto same = trie_of({{5, 6}, {7}, {5, 6}});
  ASSERT_FALSE(same.ok());
  EXPECT_EQ(same.error().code, ErrorCode::kConfig);
  EXPECT_EQ(same.error().message,
            "labels \"label 0\" and \"label 2\": both have the same tokens; rename one of them");
  const auto open = trie_of({{5}, {5, 90, 91, 6}});
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().message,
            "labels \"label 0\" and \"label 1\": the second begins with the first and "
            "the whole separator, so they cannot be told apart; rename one of them");
  EXPECT_EQ(trie_of({{5}, {5, 90, 91}}).error().message,
            "labels \"label 0\" and \"label 1\": both have the same tokens; rename one of them");
  EXPECT_EQ(trie_of({}).error().code, ErrorCode::kInvalidArgument);
}

TEST(LabelTrie, OfOneLabelNeedsNoScores) {
  const auto trie = trie_of({{5, 6}});
  ASSERT_TRUE(trie.ok());
  EXPECT_EQ(trie->node(trie->descend(0)).label, 0);
}

TEST(LabelTrie, FindsEveryLabelOfRandomTries) {
  const uint64_t seed = 4;
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<Ids> ids;
    for (uint64_t i = 0, n = 1 + random.below(12); i < n; ++i) {
      Ids sequence(1 + random.below(4));
      for (int32_t& id : sequence) id = static_cast<int32_t>(random.below(3));
      if (std::find(ids.begin(), ids.end(), sequence) == ids.end()) ids.push_back(sequence);
    }
    const auto trie = trie_of(ids);
    ASSERT_TRUE(trie.ok()) << "seed " << seed << " round " << round;
    int32_t leaves = 0;
    for (int32_t i = 0; i < trie->size(); ++i) {
      const auto& node = trie->node(i);
      EXPECT_EQ(node.label >= 0, node.child_count == 0) << "labels are the leaves";
      leaves += node.label >= 0 ? 1 : 0;
      if (i > 0) {
        EXPECT_LT(node.parent, i);
      }
    }
    EXPECT_EQ(leaves, static_cast<int32_t>(ids.size()));
    for (size_t label = 0; label < ids.size(); ++label) {
      Ids closed = ids[label];
      for (const Ids& other : ids)
        if (other.size() > closed.size() &&
            std::equal(closed.begin(), closed.end(), other.begin())) {
          closed.push_back(90);
          break;
        }
      EXPECT_EQ(label_at(*trie, closed), static_cast<int32_t>(label));
    }
  }
}

}  // namespace
}  // namespace dbsa::testing
