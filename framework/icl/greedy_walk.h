// GreedyWalk: greedy decoding of a label over a LabelTrie, with its runner-up. What a label's
// log-probability is: label_score.h.
//
// The greedy label takes the best child everywhere (ties: the least label). The runner-up is the
// likeliest of the single deviations from that path: the second best child at one branching node,
// then the best children to the end (ties: the least label). Greedy is not exhaustive: the
// runner-up may be likelier than the label. BestFirstWalk is.
//
//   GreedyWalk walk(trie);
//   while (const auto node = walk.needs()) DBSA_RETURN_IF_ERROR(walk.supply(scores_after(*node)));
//   walk.decision();
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "icl/label_score.h"
#include "icl/label_trie.h"

namespace dbsa {

class GreedyWalk {
 public:
  explicit GreedyWalk(const LabelTrie& trie);  // which must outlive it

  // The branching node whose children's scores are needed; nothing when the walk is done. Nodes
  // come along the greedy path first; then those that the runner-up can still depend on, at most
  // once each.
  std::optional<int32_t> needs() const;

  // scores: of the children of node needs(), as child_log_probabilities takes them. Errors as of
  // that.
  Status supply(std::span<const double> scores);

  // Of a walk that is done.
  const Decision& decision() const { return decision_; }

 private:
  struct Deviation {
    int32_t child;
    double bound;  // its log-probability so far, which bounds that of the label below
  };

  void settle();
  void take_next_deviation();

  const LabelTrie* trie_;
  int32_t at_ = 0;
  double log_probability_ = 0;
  bool greedy_ = true;  // on the greedy path, not on a deviation
  bool done_ = false;
  std::vector<Deviation> deviations_;
  Decision decision_;
};

}  // namespace dbsa
