// The probability of a label of a LabelTrie, which both walks (BestFirstWalk, GreedyWalk) go by:
//
//   log P(label) = sum over the branching nodes n of its path of
//                  z(n, c) - log( sum over the children c' of n of exp z(n, c') )
//
// z(n, c): the model's logit of c's token after the query and the tokens down to n; c: the child of
// n on the path. So each softmax is among the tokens with which a label may continue, a
// terminator's included; the rest of the vocabulary does not count. The probabilities of all labels
// sum to one, and a chain of single children costs nothing. A prefix's probability, the sum down to
// its node, is the sum of those of the labels behind it, and bounds each of them.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
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
  std::optional<LabelScore> runner_up;  // absent when there is only one label
};

// z(n, c) - log( sum ... ) of each child c of the branching node, in their order; never above 0.
// scores: z of each, or z less any one number, such as log-probabilities. kRun when one is not
// finite, kInvalidArgument when their number is not that of the children.
Result<std::vector<double>> child_log_probabilities(const LabelTrie& trie, int32_t node,
                                                    std::span<const double> scores);

}  // namespace dbsa
