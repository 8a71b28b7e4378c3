// The walk against all labels one by one.
#include "icl/best_first_walk.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <limits>
#include <set>

#include "tests/icl/decide_greedily.h"
#include "tests/support/sanitized.h"

namespace dbsa::testing {
namespace {

using Ids = std::vector<int32_t>;
using Logits = std::function<double(int32_t node, int32_t child)>;
constexpr int32_t kEnd = 1 << 20;  // the terminator's first token

LabelTrie closed_trie_of(const std::vector<Ids>& ids) {
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const Ids& sequence : ids) {
    tokens.push_back({sequence, {kEnd, kEnd + 1}});
    names.push_back(std::to_string(names.size()));
  }
  return *LabelTrie::build(tokens, names);
}

std::vector<double> scores_of(const LabelTrie& trie, int32_t node, const Logits& logits) {
  std::vector<double> scores;
  for (const int32_t child : trie.children(node)) scores.push_back(logits(node, child));
  return scores;
}

// log P of each label, from its definition: up from each leaf.
std::vector<double> all_log_probabilities(const LabelTrie& trie, const Logits& logits) {
  std::vector<double> log_sums(static_cast<size_t>(trie.size()));
  for (int32_t node = 0; node < trie.size(); ++node) {
    long double sum = 0;
    for (const int32_t child : trie.children(node))
      sum += std::exp(static_cast<long double>(logits(node, child)));
    log_sums[static_cast<size_t>(node)] = static_cast<double>(std::log(sum));
  }
  std::vector<double> result(static_cast<size_t>(trie.node(0).label_count));
  for (int32_t leaf = 0; leaf < trie.size(); ++leaf) {
    if (trie.node(leaf).label < 0) continue;
    double sum = 0;
    for (int32_t at = leaf; at > 0; at = trie.node(at).parent) {
      const int32_t parent = trie.node(at).parent;
      sum += logits(parent, at) - log_sums[static_cast<size_t>(parent)];
    }
    result[static_cast<size_t>(trie.node(leaf).label)] = sum;
  }
  return result;
}

struct Walked {
  Decision decision;
  int64_t requests = 0;
  int64_t tokens = 0;
};

// Walks to the end, and checks what each request promises.
Walked walk_to_end(const LabelTrie& trie, const Logits& logits) {
  BestFirstWalk walk(trie);
  Walked walked;
  std::set<int32_t> computed;
  for (std::vector<int32_t> nodes = walk.next(); !nodes.empty(); nodes = walk.next()) {
    ++walked.requests;
    EXPECT_TRUE(std::is_sorted(nodes.begin(), nodes.end()));
    for (const int32_t node : nodes) {
      EXPECT_GT(trie.node(node).child_count, 0) << "a leaf needs no computing";
      EXPECT_TRUE(computed.insert(node).second) << "named twice";
      EXPECT_TRUE(node == 0 || computed.count(trie.node(node).parent) == 1) << "before its parent";
      walked.tokens += node > 0 ? 1 : 0;
      if (!trie.is_branching(node)) continue;
      const Status status = walk.supply(node, scores_of(trie, node, logits));
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
  }
  walked.decision = walk.decision();
  return walked;
}

// Sums of up to 12 terms of at most 40, in another order: 12 * 40 * 2^-53 each way.
constexpr double kRounding = 2e-13;

void expect_exact(const LabelTrie& trie, const Logits& logits, const Walked& walked) {
  const std::vector<double> all = all_log_probabilities(trie, logits);
  std::vector<double> sorted = all;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const Decision& got = walked.decision;
  ASSERT_GE(got.best.label, 0);
  ASSERT_EQ(got.runner_up.has_value(), all.size() > 1);
  EXPECT_NEAR(got.best.log_probability, all[static_cast<size_t>(got.best.label)], kRounding);
  EXPECT_NEAR(got.best.log_probability, sorted[0], kRounding);
  if (!got.runner_up) return;
  EXPECT_NEAR(got.runner_up->log_probability, all[static_cast<size_t>(got.runner_up->label)],
              kRounding);
  EXPECT_NEAR(got.runner_up->log_probability, sorted[1], kRounding);
  EXPECT_NE(got.runner_up->label, got.best.label);
  EXPECT_LE(got.runner_up->log_probability, got.best.log_probability);
  EXPECT_LE(walked.tokens, trie.inner_count());
}

// Labels of 1 to 6 tokens, of which some begin others; `reach` says how far logits lie apart.
std::vector<Ids> random_labels(Random& random, uint64_t count, uint64_t vocabulary) {
  std::set<Ids> ids;
  std::vector<Ids> list;
  for (uint64_t tries = 0; ids.size() < count && tries < 10 * count; ++tries) {
    Ids sequence(1 + random.below(6));
    for (int32_t& id : sequence) id = static_cast<int32_t>(random.below(vocabulary));
    if (!list.empty() && random.below(3) == 0) {  // continues a label that is there
      const Ids& other = list[random.below(list.size())];
      const auto kept = static_cast<std::ptrdiff_t>(1 + random.below(other.size()));
      sequence.insert(sequence.begin(), other.begin(), other.begin() + kept);
      sequence.resize(std::min<size_t>(sequence.size(), 8));
    }
    if (ids.insert(sequence).second) list.push_back(sequence);
  }
  return list;
}

Logits random_logits(Random& random, const LabelTrie& trie, double reach) {
  std::vector<double> values(static_cast<size_t>(trie.size()));
  for (double& value : values)
    value = reach * (static_cast<double>(random.below(1000001)) / 500000 - 1);
  return [values](int32_t, int32_t child) { return values[static_cast<size_t>(child)]; };
}

TEST(BestFirstWalk, EqualsAllLabelsOneByOneOnSmallRandomTries) {
  const uint64_t seed = 20261129;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (int round = 0; round < (kSanitized ? 300 : 3000); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    const std::vector<Ids> ids = random_labels(random, 1 + random.below(40), 2 + random.below(6));
    const LabelTrie trie = closed_trie_of(ids);
    const double reach = std::vector<double>{0.01, 1, 5, 20}[random.below(4)];
    const Logits logits = random_logits(random, trie, reach);
    expect_exact(trie, logits, walk_to_end(trie, logits));
    if (HasFailure()) return;
  }
}

TEST(BestFirstWalk, EqualsAllLabelsOneByOneOnLargeRandomTries) {
  const uint64_t seed = 77;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (const uint64_t count : {100, 1000, 5000}) {
    for (const double reach : {0.01, 2.0, 8.0, 20.0}) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " labels " + std::to_string(count) + " reach " +
                   std::to_string(reach));
      const LabelTrie trie = closed_trie_of(random_labels(random, count, 60));
      const Logits logits = random_logits(random, trie, reach);
      const Walked walked = walk_to_end(trie, logits);
      expect_exact(trie, logits, walked);
      // 16, 32, 64, ... tokens, at most one label's fewer each; the first request may be the query.
      int64_t most = 2;
      for (int64_t taken = 0, each = BestFirstWalk::kFirstTokens - 8; taken < trie.inner_count();
           taken += each, each = 2 * (each + 8) - 8)
        ++most;
      EXPECT_LE(walked.requests, most + 8) << "8: a label's depth";
      std::cout << count << " labels, reach " << reach << ": " << walked.tokens << " of "
                << trie.inner_count() << " tokens in " << walked.requests << " requests\n";
    }
  }
}

// What the greedy walk misses: the best first token has many labels behind it.
TEST(BestFirstWalk, FindsALabelThatTheGreedyWalkMisses) {
  const LabelTrie trie = closed_trie_of({{0, 1}, {0, 2}, {0, 3}, {4}});
  const Logits logits = [&](int32_t node, int32_t child) {
    return node == 0 && trie.node(child).token == 0 ? std::log(0.6) : node == 0 ? std::log(0.4) : 0;
  };
  const auto greedy = decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
    return scores_of(trie, node, logits);
  });
  ASSERT_TRUE(greedy.ok());
  EXPECT_EQ(greedy->best.label, 0);
  EXPECT_GT(greedy->runner_up->log_probability, greedy->best.log_probability);
  const Decision exact = walk_to_end(trie, logits).decision;
  EXPECT_EQ(exact.best.label, 3);
  EXPECT_NEAR(exact.best.log_probability, std::log(0.4), 1e-15);
  ASSERT_TRUE(exact.runner_up.has_value());
  EXPECT_EQ(exact.runner_up->label, 0) << "the least of three that are equal";
  EXPECT_NEAR(exact.runner_up->log_probability, std::log(0.2), 1e-15);
}

TEST(BestFirstWalk, BreaksTiesByTheLowerLabel) {
  // Tokens in descending order, so that the order of tokens would give another answer; label 0
  // stands deep, behind a prefix that is as likely as the label itself.
  const LabelTrie trie = closed_trie_of({{9, 8, 7}, {9, 8, 6}, {5}, {4}});
  const Logits logits = [&](int32_t node, int32_t child) {
    if (node == 0) return 0.0;
    return trie.node(child).token == 7 ? 0.0 : -800.0;  // beside it nothing is left of the other
  };
  const Decision decision = walk_to_end(trie, logits).decision;
  EXPECT_EQ(decision.best, (LabelScore{0, decision.best.log_probability}));
  EXPECT_EQ(decision.runner_up, (LabelScore{2, decision.best.log_probability}));
  EXPECT_NEAR(decision.best.log_probability, std::log(1.0 / 3), 1e-15);

  const LabelTrie flat = closed_trie_of({{9, 8}, {9, 7}, {6, 5}, {6, 4}});
  const Decision equal = walk_to_end(flat, [](int32_t, int32_t) { return 0.25; }).decision;
  EXPECT_EQ(equal.best.label, 0);
  EXPECT_EQ(equal.runner_up->label, 1);
  EXPECT_EQ(equal.best.log_probability, equal.runner_up->log_probability);
}

TEST(BestFirstWalk, AsksNothingForOneLabel) {
  const LabelTrie trie = closed_trie_of({{4, 5}});
  BestFirstWalk walk(trie);
  EXPECT_TRUE(walk.next().empty());
  EXPECT_EQ(walk.decision().best, (LabelScore{0, 0}));
  EXPECT_EQ(walk.decision().runner_up, std::nullopt);
}

TEST(BestFirstWalk, TakesASmallTrieAsAWhole) {
  const LabelTrie trie = closed_trie_of({{1, 2, 3}, {1, 2, 4}, {1, 5, 6}, {1, 5, 7}});
  ASSERT_EQ(trie.inner_count(), 3);
  const Walked walked = walk_to_end(trie, [](int32_t, int32_t) { return 0.0; });
  EXPECT_EQ(walked.requests, 1);
  EXPECT_EQ(walked.tokens, 3);
}

// Where one label takes nearly all, little else is computed; where all are alike, everything is.
TEST(BestFirstWalk, ComputesWhatMayMatter) {
  std::vector<Ids> ids;
  for (int32_t a = 0; a < 40; ++a)
    for (int32_t b = 0; b < 10; ++b) ids.push_back({a, 100 + b, 200});
  const LabelTrie trie = closed_trie_of(ids);
  // The first token of label 0 stands out more than its second, so that another label that begins
  // like it is the runner-up.
  const auto favour = [&](double by) {
    return [&trie, by](int32_t node, int32_t child) {
      return trie.node(child).min_label == 0 ? (node == 0 ? 2 * by : by) : 0.0;
    };
  };
  const Walked sure = walk_to_end(trie, favour(30));
  EXPECT_EQ(sure.decision.best.label, 0);
  EXPECT_EQ(sure.decision.runner_up->label, 1);
  EXPECT_LE(sure.requests, 3);
  EXPECT_LE(sure.tokens, BestFirstWalk::kFirstTokens);
  const Walked unsure = walk_to_end(trie, favour(0));
  EXPECT_EQ(unsure.decision.best.label, 0);
  EXPECT_EQ(unsure.decision.runner_up->label, 1);
}

TEST(BestFirstWalk, RefusesBrokenScores) {
  const LabelTrie trie = closed_trie_of({{0}, {3}});
  BestFirstWalk walk(trie);
  EXPECT_EQ(walk.next(), Ids{0});
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Status status = walk.supply(0, std::vector<double>{0, bad});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kRun);
    EXPECT_EQ(status.error().message, "decoding: expected a finite logit for token 3, found " +
                                          std::to_string(bad) +
                                          "; check the model's weights, or compute in f32");
  }
  const Status few = walk.supply(0, std::vector<double>(1, 0));
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().message, "the walk needs one score for each child");
  EXPECT_TRUE(walk.supply(0, std::vector<double>{1, 0}).ok()) << "and can go on";
  EXPECT_TRUE(walk.next().empty());
  EXPECT_EQ(walk.decision().best.label, 0);
}

}  // namespace
}  // namespace dbsa::testing
