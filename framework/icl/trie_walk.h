// TrieWalk: greedy decoding of a label over a LabelTrie, with its runner-up.
//
// The log-probability of a label is the sum, over the branching nodes on its path, of the
// log-softmax of its child's logit among that node's children. So all labels sum to one, and
// single-child chains cost nothing.
//
// The greedy label takes the best child everywhere (ties: the least label). The runner-up is the
// likeliest of the single deviations from that path: the second best child at one branching node,
// then the best children to the end (ties: the least label). Greedy is not exhaustive: the
// runner-up may be likelier than the label.
//
//   TrieWalk walk(trie);
//   while (const auto node = walk.needs()) DBSA_RETURN_IF_ERROR(walk.supply(scores_after(*node)));
//   walk.decision();
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "icl/label_trie.h"

namespace dbsa {

struct LabelScore {
  int32_t label = -1;
  double log_probability = 0;
  bool operator==(const LabelScore&) const = default;
};

struct Decision {
  LabelScore best;
  std::optional<LabelScore> runner_up;  // absent when there is but one label
};

class TrieWalk {
 public:
  explicit TrieWalk(const LabelTrie& trie);  // which must outlive it

  // The branching node whose children's scores are needed; nothing when the walk is done. Nodes
  // come along the greedy path first; then those that the runner-up can still depend on, at most
  // once each.
  std::optional<int32_t> needs() const;

  // scores: of the children of node needs(), in their order: their logits, or these less any one
  // number, such as log-probabilities. kRun when one is not finite.
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

// Walks to the end. `scores_after` gives what supply() takes of a node.
Result<Decision> decide(
    const LabelTrie& trie,
    const std::function<Result<std::vector<double>>(int32_t node)>& scores_after);

}  // namespace dbsa
