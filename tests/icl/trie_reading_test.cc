// TrieReading against the formula of label_score.h, and against what the walks decide.
#include "icl/trie_reading.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <numeric>

#include "icl/best_first_walk.h"
#include "tests/icl/decide_greedily.h"

namespace dbsa::testing {
namespace {

LabelTrie random_trie(Random& random, size_t labels) {
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (size_t i = 0; i < labels; ++i) {
    LabelTokens& label = tokens.emplace_back();
    // A number in digits of base 3, after a beginning that all share.
    label.ids = {9};
    for (size_t rest = i;; rest /= 3) {
      label.ids.push_back(static_cast<int32_t>(rest % 3));
      if (rest < 3) break;
    }
    if (random.below(2) == 0) label.ids.push_back(7);
    label.terminator = {8};
    names.push_back("label " + std::to_string(i));
  }
  auto trie = LabelTrie::build(tokens, names);
  EXPECT_TRUE(trie.ok()) << trie.error().message;
  return *std::move(trie);
}

std::vector<double> scores_of(const LabelTrie& trie, int32_t node) {
  Random random(static_cast<uint64_t>(node) * 977 + 5);
  std::vector<double> scores;
  for (size_t i = 0; i < trie.children(node).size(); ++i)
    scores.push_back(static_cast<double>(random.below(4001)) / 500 - 4);
  return scores;
}

// The formula, with no incremental sums.
double naive_log_probability(const LabelTrie& trie, int32_t label) {
  int32_t node = 0;
  while (trie.node(node).label != label) ++node;
  long double sum = 0;
  for (; node > 0; node = trie.node(node).parent) {
    const int32_t parent = trie.node(node).parent;
    if (!trie.is_branching(parent)) continue;
    const std::vector<double> scores = scores_of(trie, parent);
    const auto children = trie.children(parent);
    long double all = 0, own = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const long double share = std::exp(static_cast<long double>(scores[i]));
      all += share;
      if (children[i] == node) own = share;
    }
    sum += std::log(own / all);
  }
  return static_cast<double>(sum);
}

TEST(TrieReading, HasTheBitsOfTheWalks) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    Random random(seed);
    std::cout << "seed " << seed << "\n";
    const LabelTrie trie = random_trie(random, 40);
    TrieReading best_first(trie), greedy(trie);
    BestFirstWalk walk(trie);
    for (auto nodes = walk.next(); !nodes.empty(); nodes = walk.next())
      for (const int32_t node : nodes)
        if (trie.is_branching(node)) {
          ASSERT_TRUE(walk.supply(node, scores_of(trie, node)).ok());
          ASSERT_TRUE(best_first.supply(node, scores_of(trie, node)).ok());
        }
    const auto decided = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
      EXPECT_TRUE(greedy.supply(node, scores_of(trie, node)).ok());
      return scores_of(trie, node);
    });
    ASSERT_TRUE(decided.ok());
    for (const auto& [reading, decision] :
         {std::pair(&best_first, walk.decision()), std::pair(&greedy, *decided)})
      for (const LabelScore& score : {decision.best, *decision.runner_up}) {
        EXPECT_EQ(reading->read(score.label).log_probability, score.log_probability);
        EXPECT_TRUE(reading->missing(score.label).empty());
      }
  }
}

TEST(TrieReading, SaysWhatItKnowsAndBoundsTheRest) {
  Random random(7);
  const LabelTrie trie = random_trie(random, 30);
  TrieReading reading(trie);
  const LabelReading nothing = reading.read(11);
  EXPECT_FALSE(nothing.log_probability);
  EXPECT_EQ(nothing.at_most, 0) << "nothing is known";
  EXPECT_EQ(nothing.tokens[0].token, 9);
  EXPECT_EQ(nothing.tokens[0].log_probability, 0) << "all labels begin with it";
  EXPECT_FALSE(nothing.tokens[1].log_probability);

  const std::vector<int32_t> all = reading.missing(11);
  ASSERT_GE(all.size(), 2u);
  ASSERT_TRUE(reading.supply(all[0], scores_of(trie, all[0])).ok());
  const LabelReading some = reading.read(11);
  EXPECT_FALSE(some.log_probability);
  EXPECT_LT(some.at_most, 0);
  EXPECT_GT(some.at_most, naive_log_probability(trie, 11));
  EXPECT_EQ(reading.missing(11), std::vector<int32_t>(all.begin() + 1, all.end()));
  for (const int32_t node : reading.missing(11))
    ASSERT_TRUE(reading.supply(node, scores_of(trie, node)).ok());
  const LabelReading whole = reading.read(11);
  EXPECT_NEAR(whole.log_probability.value(), naive_log_probability(trie, 11), 1e-12);
  double sum = 0;
  for (const ReadToken& token : whole.tokens) sum += token.log_probability.value();
  EXPECT_EQ(sum, *whole.log_probability);

  // Of all labels together, once all is known.
  for (int32_t node = 0; node < trie.size(); ++node)
    if (trie.is_branching(node)) {
      ASSERT_TRUE(reading.supply(node, scores_of(trie, node)).ok());
    }
  double mass = 0;
  for (int32_t label = 0; label < 30; ++label)
    mass += std::exp(*reading.read(label).log_probability);
  EXPECT_NEAR(mass, 1, 1e-12);
}

TEST(TrieReading, ScoresThatAreNotFiniteAreRefused) {
  Random random(1);
  const LabelTrie trie = random_trie(random, 9);
  TrieReading reading(trie);
  const int32_t node = reading.missing(0).front();
  std::vector<double> scores = scores_of(trie, node);
  scores[0] = std::nan("");
  EXPECT_EQ(reading.supply(node, scores).error().code, ErrorCode::kRun);
  EXPECT_FALSE(reading.is_scored(node));
}

}  // namespace
}  // namespace dbsa::testing
