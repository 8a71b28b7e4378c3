#include "icl/label_score.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace dbsa {

Result<std::vector<double>> child_log_probabilities(const LabelTrie& trie, int32_t node,
                                                    std::span<const double> scores) {
  const std::span<const int32_t> children = trie.children(node);
  if (scores.size() != children.size())
    return Error{ErrorCode::kInvalidArgument, "the walk needs one score for each child", ""};
  for (size_t i = 0; i < children.size(); ++i)
    if (!std::isfinite(scores[i]))
      return Error{ErrorCode::kRun,
                   "decoding: expected a finite logit for token " +
                       std::to_string(trie.node(children[i]).token) + ", found " +
                       std::to_string(scores[i]) + "; check the model's weights, or compute in f32",
                   ""};
  std::vector<double> result(scores.begin(), scores.end());
  const double top = *std::max_element(result.begin(), result.end());
  double sum = 0;
  for (const double score : result) sum += std::exp(score - top);
  const double log_sum = top + std::log(sum);
  for (double& score : result) score -= log_sum;
  return result;
}

Result<std::vector<double>> label_log_probabilities(const LabelTrie& trie,
                                                    std::span<const double> scores) {
  std::vector<double> result(static_cast<size_t>(trie.node(0).label_count));
  std::vector<double> sums(static_cast<size_t>(trie.size()), 0.0);  // down to each node
  for (int32_t node = 0; node < trie.size(); ++node) {
    const double above = sums[static_cast<size_t>(node)];
    if (trie.node(node).label >= 0) result[static_cast<size_t>(trie.node(node).label)] = above;
    const std::span<const int32_t> children = trie.children(node);
    std::vector<double> own(children.size(), 0.0);  // a single child is certain
    if (trie.is_branching(node)) {
      for (size_t i = 0; i < children.size(); ++i)
        own[i] = scores[static_cast<size_t>(children[i])];
      DBSA_ASSIGN_OR_RETURN(own, child_log_probabilities(trie, node, own));
    }
    for (size_t i = 0; i < children.size(); ++i)
      sums[static_cast<size_t>(children[i])] = above + own[i];
  }
  return result;
}

}  // namespace dbsa
