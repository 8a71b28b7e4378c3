// Walks a GreedyWalk to its end.
#pragma once

#include <functional>
#include <vector>

#include "icl/greedy_walk.h"

namespace dbsa::testing {

// scores_after: what supply() takes of a node.
inline Result<Decision> decide_greedily(
    const LabelTrie& trie,
    const std::function<Result<std::vector<double>>(int32_t node)>& scores_after) {
  GreedyWalk walk(trie);
  while (const auto node = walk.needs()) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores, scores_after(*node));
    DBSA_RETURN_IF_ERROR(walk.supply(scores));
  }
  return walk.decision();
}

}  // namespace dbsa::testing
