// BestFirstWalk: the likeliest label of a LabelTrie and the second likeliest, exactly. What a
// label's log-probability is: label_score.h. Of equally likely labels the lower one counts as
// likelier.
//
// A prefix is at least as likely as every label behind it. So the likeliest open prefix is always
// the one to look behind, and the walk ends when two labels are complete that no open prefix can
// beat. Sums are taken from the root down, and no summand is above 0: rounding keeps that order.
//
// A forward pass costs much the same for one token as for a few. So each request names up to
// kFirstTokens tokens, and each further one twice as many as the one before: those that lead to the
// likeliest prefix, which has to be looked behind, then those to prefixes that will probably be
// next. Behind a prefix without scores a child's share of the probability is estimated by its
// share of the labels. A node is named at most once, so that all requests together never compute
// more tokens than the trie has. A trie of up to kFirstTokens inner nodes is one request.
//
//   BestFirstWalk walk(trie);
//   for (auto nodes = walk.next(); !nodes.empty(); nodes = walk.next())
//     for (const int32_t node : nodes)   // computed in one pass
//       if (trie.is_branching(node)) DBSA_RETURN_IF_ERROR(walk.supply(node, scores_after(node)));
//   walk.decision();
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <vector>

#include "icl/label_score.h"
#include "icl/label_trie.h"

namespace dbsa {

class BestFirstWalk {
 public:
  static constexpr int64_t kFirstTokens = 16;

  explicit BestFirstWalk(const LabelTrie& trie);  // which must outlive it

  // Nodes to compute, ascending, so parents come before children; the first request begins with
  // node 0, the query's own last token. Empty: the walk is done. Cost: O(open prefixes), and a
  // logarithm of them for each node.
  std::vector<int32_t> next();

  // For each branching node of the request, in its order, before the next request. scores: of its
  // children, as child_log_probabilities takes them. Errors as of that.
  Status supply(int32_t node, std::span<const double> scores);

  // Of a walk that is done.
  const Decision& decision() const { return decision_; }

 private:
  struct Prefix {
    double log_probability;
    int32_t node;  // as LabelTrie::descend: branching, or a leaf
  };
  class LessLikely;

  void settle();
  double certain_runner_up() const;
  void push_children(const Prefix& prefix, std::vector<Prefix>& heap) const;

  const LabelTrie* trie_;
  std::vector<Prefix> open_;             // a heap, the likeliest on top
  std::vector<double> log_probability_;  // [nodes], of nodes that have a scored parent
  std::vector<bool> computed_;           // [nodes]
  std::vector<bool> scored_;             // [nodes]
  int64_t tokens_ = 0;                   // the next request's, about
  bool found_best_ = false;
  bool done_ = false;
  Decision decision_;
};

}  // namespace dbsa
