// The walk against its definition, computed from all log-probabilities at once.
#include "icl/greedy_walk.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/icl/decide_greedily.h"

namespace dbsa::testing {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t kWalkVocabulary = 12;

LabelTrie named_trie_of(const std::vector<Ids>& ids) {
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const Ids& sequence : ids) {
    tokens.push_back({sequence, {kWalkVocabulary - 1, kWalkVocabulary - 2}});
    names.push_back(std::to_string(names.size()));
  }
  return *LabelTrie::build(tokens, names);
}

// What the walk takes of a node whose logits are these.
std::vector<double> children_of(const LabelTrie& trie, int32_t node,
                                const std::vector<float>& logits) {
  std::vector<double> scores;
  for (const int32_t child : trie.children(node))
    scores.push_back(static_cast<double>(logits[static_cast<size_t>(trie.node(child).token)]));
  return scores;
}

// The definition, with no thought to cost.
struct Slow {
  const LabelTrie& trie;
  const std::vector<std::vector<float>>& logits;  // [node][vocabulary]

  double log_probability(int32_t node, int32_t child) const {
    double sum = 0;
    for (const int32_t c : trie.children(node))
      sum += std::exp(static_cast<double>(logits[node][trie.node(c).token]) -
                      logits[node][trie.node(child).token]);
    return -std::log(sum);
  }
  int32_t best_child(int32_t node, int32_t except = -1) const {
    int32_t best = -1;
    for (const int32_t c : trie.children(node)) {
      if (c == except) continue;
      if (best < 0 || logits[node][trie.node(c).token] > logits[node][trie.node(best).token])
        best = c;
    }
    return best;
  }
  LabelScore finish(int32_t node, double sum) const {
    while (trie.node(node).child_count > 0) {
      const int32_t child = best_child(node);
      sum += log_probability(node, child);
      node = child;
    }
    return {trie.node(node).label, sum};
  }
  Decision decide() const {
    Decision decision = {finish(0, 0), std::nullopt};
    double sum = 0;
    for (int32_t node = 0; trie.node(node).child_count > 0;) {
      const int32_t best = best_child(node);
      if (const int32_t second = best_child(node, best); second >= 0) {
        const LabelScore other = finish(second, sum + log_probability(node, second));
        if (!decision.runner_up ||
            other.log_probability > decision.runner_up->log_probability + 1e-12)
          decision.runner_up = other;
      }
      sum += log_probability(node, best);
      node = best;
    }
    return decision;
  }
};

TEST(GreedyWalk, EqualsItsDefinitionOnRandomTries) {
  const uint64_t seed = 17;
  Random random(seed);
  for (int round = 0; round < 500; ++round) {
    std::vector<Ids> ids;
    for (uint64_t i = 0, n = 1 + random.below(14); i < n; ++i) {
      Ids sequence(1 + random.below(5));
      for (int32_t& id : sequence) id = static_cast<int32_t>(random.below(4));
      if (std::find(ids.begin(), ids.end(), sequence) == ids.end()) ids.push_back(sequence);
    }
    const LabelTrie trie = named_trie_of(ids);
    std::vector<std::vector<float>> logits(trie.size(), std::vector<float>(kWalkVocabulary));
    for (auto& row : logits)
      for (float& v : row) v = static_cast<float>(random.below(100000)) / 10000 - 5;
    std::set<int32_t> asked;
    const auto decision = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
      EXPECT_TRUE(trie.is_branching(node));
      EXPECT_TRUE(asked.insert(node).second) << "asked twice";
      return children_of(trie, node, logits[node]);
    });
    ASSERT_TRUE(decision.ok());
    const Decision slow = Slow{trie, logits}.decide();
    ASSERT_EQ(decision->best.label, slow.best.label) << "seed " << seed << " round " << round;
    ASSERT_NEAR(decision->best.log_probability, slow.best.log_probability, 1e-12);
    ASSERT_EQ(decision->runner_up.has_value(), ids.size() > 1);
    if (decision->runner_up) {
      ASSERT_EQ(decision->runner_up->label, slow.runner_up->label)
          << "seed " << seed << " round " << round;
      ASSERT_NEAR(decision->runner_up->log_probability, slow.runner_up->log_probability, 1e-12);
    }
  }
}

TEST(GreedyWalk, LabelsSumToOne) {
  const LabelTrie trie = named_trie_of({{0, 1}, {0, 2}, {3}});
  // Two branching nodes; the walk gives the best two labels, the third is what is left.
  std::vector<float> root(kWalkVocabulary, -100);  // what is not allowed does not count
  root[5] = 100;
  root[0] = 1;
  root[3] = 0;
  std::vector<float> below(kWalkVocabulary, 7);
  below[1] = 2;
  below[2] = 1.5;
  const auto decision = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
    return children_of(trie, node, node == 0 ? root : below);
  });
  ASSERT_TRUE(decision.ok());
  const double p0 = 1 / (1 + std::exp(-1.0));
  const double p01 = 1 / (1 + std::exp(-0.5));
  EXPECT_EQ(decision->best.label, 0);
  EXPECT_NEAR(std::exp(decision->best.log_probability), p0 * p01, 1e-12);
  EXPECT_EQ(decision->runner_up->label, 1);
  EXPECT_NEAR(std::exp(decision->runner_up->log_probability), p0 * (1 - p01), 1e-12);
}

TEST(GreedyWalk, AsksNothingForOneLabel) {
  const LabelTrie trie = named_trie_of({{4, 5}});
  GreedyWalk walk(trie);
  EXPECT_EQ(walk.needs(), std::nullopt);
  EXPECT_EQ(walk.decision().best, (LabelScore{0, 0}));
  EXPECT_EQ(walk.decision().runner_up, std::nullopt);
}

TEST(GreedyWalk, SkipsDeviationsThatCannotWin) {
  // The root's second child begins a subtree whose bound is below the other runner-up.
  const LabelTrie trie = named_trie_of({{0, 1}, {0, 2}, {3, 1}, {3, 2}});
  std::vector<float> root(kWalkVocabulary, 0);
  root[0] = 10;
  const std::vector<float> below(kWalkVocabulary, 0);
  int asked = 0;
  const auto decision = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
    ++asked;
    return children_of(trie, node, node == 0 ? root : below);
  });
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->best.label, 0);
  EXPECT_EQ(decision->runner_up->label, 1);
  EXPECT_EQ(asked, 2);
}

TEST(GreedyWalk, BreaksTiesByTheLowerLabel) {
  // Tokens in descending order, so that the order of tokens would give another answer.
  const LabelTrie trie = named_trie_of({{9, 8}, {9, 7}, {6, 5}, {6, 4}});
  const auto decision = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
    return children_of(trie, node, std::vector<float>(kWalkVocabulary, 0.25f));
  });
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->best.label, 0);
  EXPECT_EQ(decision->runner_up->label, 1);
  EXPECT_NEAR(decision->best.log_probability, std::log(0.25), 1e-12);
  EXPECT_NEAR(decision->runner_up->log_probability, std::log(0.25), 1e-12);
}

TEST(GreedyWalk, RefusesBrokenScores) {
  const LabelTrie trie = named_trie_of({{0}, {3}});
  GreedyWalk walk(trie);
  const Status status =
      walk.supply(std::vector<double>{0, std::numeric_limits<double>::quiet_NaN()});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kRun);
  EXPECT_EQ(status.error().message,
            "decoding: expected a finite logit for token 3, found nan; check the model's weights, "
            "or compute in f32");
  const Status few = walk.supply(std::vector<double>(1, 0));
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().message, "the walk needs one score for each child");
  EXPECT_TRUE(walk.supply(std::vector<double>(2, 0)).ok()) << "and can go on";
}

}  // namespace
}  // namespace dbsa::testing
