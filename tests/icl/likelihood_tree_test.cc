// LikelihoodTree against the labels one by one.
#include "icl/likelihood_tree.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <set>

#include "tests/icl/decide_greedily.h"

namespace dbsa::testing {
namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t kTreeVocabulary = 7;

// What follows a prefix: seeded by its tokens, of very different sizes.
std::vector<double> logits_after(const Ids& prefix) {
  uint64_t seed = 17;
  for (const int32_t token : prefix) seed = seed * 1000003 + static_cast<uint64_t>(token) + 1;
  Random random(seed);
  std::vector<double> logits(kTreeVocabulary);
  for (double& logit : logits) logit = static_cast<double>(random.below(20001)) / 500 - 20;
  return logits;
}

Ids sequence_of(const LabelTokens& label) {
  Ids tokens = label.ids;
  if (!label.terminator.empty()) tokens.push_back(label.terminator[0]);
  return tokens;
}

double log_softmax(const std::vector<double>& logits, int32_t token) {
  long double sum = 0;
  for (const double logit : logits) sum += std::exp(static_cast<long double>(logit));
  return static_cast<double>(logits[static_cast<size_t>(token)] - std::log(sum));
}

// One label, token by token, over the whole vocabulary.
double naive_log_likelihood(const LabelTokens& label) {
  double sum = 0;
  Ids prefix;
  for (const int32_t token : sequence_of(label)) {
    sum += log_softmax(logits_after(prefix), token);
    prefix.push_back(token);
  }
  return sum;
}

Ids path_of(const LikelihoodTree& tree, int32_t row) {
  Ids path;
  for (; row >= 0; row = tree.rows()[static_cast<size_t>(row)].parent)
    path.push_back(tree.rows()[static_cast<size_t>(row)].token);
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<double> score(const LikelihoodTree& tree) {
  std::vector<double> edges = tree.make_edges();
  for (int32_t row = -1; row < static_cast<int32_t>(tree.rows().size()); ++row) {
    std::vector<double> scores;
    for (const int32_t token : tree.next_tokens(row))
      scores.push_back(log_softmax(logits_after(path_of(tree, row)), token));
    EXPECT_TRUE(tree.supply(row, scores, edges).ok());
  }
  return tree.log_likelihoods(edges);
}

// Each token that another one follows is a row, once; parents stand before children and what
// begins alike stands together.
void expect_rows(const std::vector<LabelTokens>& labels, const LikelihoodTree& tree) {
  std::set<Ids> expected;
  for (const LabelTokens& label : labels) {
    const Ids tokens = sequence_of(label);
    for (size_t length = 1; length < tokens.size(); ++length)
      expected.insert(Ids(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  std::set<Ids> found;
  for (int32_t row = 0; row < static_cast<int32_t>(tree.rows().size()); ++row) {
    const TreeToken& token = tree.rows()[static_cast<size_t>(row)];
    ASSERT_LT(token.parent, row);
    const Ids path = path_of(tree, row);
    ASSERT_EQ(token.depth, static_cast<int32_t>(path.size()) - 1);
    ASSERT_TRUE(found.insert(path).second) << "row " << row << " is there twice";
    // Depth first: the row before it is its parent or below it.
    int32_t above = row - 1;
    while (above >= 0 && above != token.parent)
      above = tree.rows()[static_cast<size_t>(above)].parent;
    ASSERT_EQ(above, token.parent) << "row " << row;
  }
  EXPECT_EQ(found, expected);
}

void expect_scores(const std::vector<LabelTokens>& labels, const LikelihoodTree& tree) {
  const std::vector<double> scores = score(tree);
  ASSERT_EQ(scores.size(), labels.size());
  // Six terms of at most 40, each with a sum of seven, rounded to 2^-53.
  for (size_t i = 0; i < labels.size(); ++i)
    EXPECT_NEAR(scores[i], naive_log_likelihood(labels[i]), 1e-12) << "label " << i;
}

TEST(LikelihoodTree, ReadsALabelTokenByToken) {
  const std::vector<LabelTokens> labels = {{{1, 2}, {6, 5}}, {{1, 3, 2}, {}}, {{1}, {6}}};
  const LikelihoodTree tree(labels);
  std::vector<double> edges = tree.make_edges();
  for (int32_t row = -1; row < static_cast<int32_t>(tree.rows().size()); ++row) {
    std::vector<double> scores;
    for (const int32_t token : tree.next_tokens(row))
      scores.push_back(log_softmax(logits_after(path_of(tree, row)), token));
    ASSERT_TRUE(tree.supply(row, scores, edges).ok());
  }
  const std::vector<double> sums = tree.log_likelihoods(edges);
  for (size_t i = 0; i < labels.size(); ++i) {
    Ids tokens;
    double sum = 0;
    for (const ReadToken& token : tree.read_label(i, edges)) {
      EXPECT_EQ(token.log_probability, log_softmax(logits_after(tokens), token.token));
      tokens.push_back(token.token);
      sum += *token.log_probability;
    }
    EXPECT_EQ(tokens, sequence_of(labels[i]));
    EXPECT_EQ(sum, sums[i]) << "bit for bit";
  }
}

TEST(LikelihoodTree, EqualsTheLabelsOneByOneForRandomSets) {
  const uint64_t seed = 20250701;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::vector<LabelTokens> labels;
    for (uint64_t i = 0, n = 1 + random.below(15); i < n; ++i) {
      LabelTokens label;
      label.ids.resize(1 + random.below(5));
      for (int32_t& id : label.ids) id = static_cast<int32_t>(random.below(3));
      if (random.below(4) != 0) label.terminator = {6, 5};  // else the tokenizer left none
      labels.push_back(label);
    }
    const LikelihoodTree tree(labels);
    expect_rows(labels, tree);
    expect_scores(labels, tree);
  }
}

TEST(LikelihoodTree, KeepsALabelApartFromOneThatItBegins) {
  const std::vector<LabelTokens> labels = {
      {{1, 2}, {6}}, {{1}, {6}}, {{1, 2, 3}, {6}}, {{1, 3}, {6}}, {{4}, {6}}};
  const LikelihoodTree tree(labels);
  expect_rows(labels, tree);
  expect_scores(labels, tree);
  const Ids tokens = {1, 2, 3, 3, 4};
  const Ids parents = {-1, 0, 1, 0, -1};
  ASSERT_EQ(tree.rows().size(), tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tree.rows()[i].token, tokens[i]) << i;
    EXPECT_EQ(tree.rows()[i].parent, parents[i]) << i;
  }
}

TEST(LikelihoodTree, WithoutATerminatorTheLastTokenIsNoRow) {
  const std::vector<LabelTokens> labels = {{{1, 2}, {}}, {{1}, {}}, {{3}, {}}};
  const LikelihoodTree tree(labels);
  ASSERT_EQ(tree.rows().size(), 1u);
  expect_scores(labels, tree);
  EXPECT_TRUE(LikelihoodTree(std::vector<LabelTokens>{{{1}, {}}, {{2}, {}}}).rows().empty());
}

TEST(LikelihoodTree, CountsOneTokenOfTheTerminator) {
  const LikelihoodTree one(std::vector<LabelTokens>{{{1, 2}, {6}}});
  const LikelihoodTree three(std::vector<LabelTokens>{{{1, 2}, {6, 6, 5}}});
  EXPECT_EQ(one.rows().size(), three.rows().size());
  EXPECT_EQ(score(one), score(three));
}

// Where all labels part at one token, the trie's probabilities are the tree's, normalised.
TEST(LikelihoodTree, OrdersLabelsOfOneBranchingAsTheTrieDoes) {
  std::vector<LabelTokens> labels;
  for (const int32_t last : {5, 0, 3, 1}) labels.push_back({{2, 4, last}, {}});
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  const auto trie = LabelTrie::build(labels, names);
  ASSERT_TRUE(trie.ok());
  const auto decision = decide_greedily(*trie, [&](int32_t node) -> Result<std::vector<double>> {
    std::vector<double> scores;
    for (const int32_t child : trie->children(node))
      scores.push_back(
          logits_after(trie->path(node))[static_cast<size_t>(trie->node(child).token)]);
    return scores;
  });
  ASSERT_TRUE(decision.ok());
  const std::vector<double> scores = score(LikelihoodTree(labels));
  double sum = 0;
  for (const double s : scores) sum += std::exp(s);
  const auto best = std::max_element(scores.begin(), scores.end());
  EXPECT_EQ(decision->best.label, best - scores.begin());
  EXPECT_NEAR(decision->best.log_probability, *best - std::log(sum), 1e-12);
  ASSERT_TRUE(decision->runner_up.has_value());
  const auto next = static_cast<size_t>(decision->runner_up->label);
  EXPECT_NEAR(decision->runner_up->log_probability, scores[next] - std::log(sum), 1e-12);
  EXPECT_EQ(std::count_if(scores.begin(), scores.end(), [&](double s) { return s > scores[next]; }),
            1);
}

TEST(LikelihoodTree, RefusesScoresThatAreNotFinite) {
  const LikelihoodTree tree(std::vector<LabelTokens>{{{1, 3}, {}}, {{2}, {}}});
  EXPECT_EQ(tree.next_tokens(-1).size(), 2u);
  EXPECT_EQ(tree.next_tokens(0).size(), 1u);
  std::vector<double> edges = tree.make_edges();
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    const Status status = tree.supply(-1, std::vector<double>{-1, bad}, edges);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kRun);
    EXPECT_EQ(status.error().message, "decoding: the model's logits are not finite");
  }
  EXPECT_TRUE(tree.supply(-1, std::vector<double>{-1, -2}, edges).ok());
}

}  // namespace
}  // namespace dbsa::testing
