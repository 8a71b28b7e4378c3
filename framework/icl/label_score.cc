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

}  // namespace dbsa
