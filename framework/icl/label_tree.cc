#include "icl/label_tree.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dbsa {
namespace {

std::vector<int32_t> sequence_of(const LabelTokens& label) {
  std::vector<int32_t> tokens = label.ids;
  if (!label.terminator.empty()) tokens.push_back(label.terminator.front());
  return tokens;
}

// Logarithm of the sum of the exponentials.
double log_sum_exp(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

}  // namespace

LabelTree::LabelTree(std::span<const LabelTokens> labels) : next_(1), paths_(labels.size()) {
  std::vector<std::vector<int32_t>> sequences;
  for (const LabelTokens& label : labels) sequences.push_back(sequence_of(label));
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Sorted, so that sequences with a common beginning are neighbours: that is depth first.
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sequences[a] < sequences[b]; });
  std::vector<int32_t> path;  // rows of the sequence before
  std::vector<int32_t> before;
  for (const size_t label : order) {
    const std::vector<int32_t>& tokens = sequences[label];
    const auto common = static_cast<size_t>(
        std::mismatch(tokens.begin(), tokens.end(), before.begin(), before.end()).first -
        tokens.begin());
    path.resize(std::min(path.size(), common));
    for (size_t i = 0; i < tokens.size(); ++i) {
      const int32_t parent = i == 0 ? -1 : path[i - 1];
      paths_[label].push_back(edge_of(parent, tokens[i]));
      if (i + 1 == tokens.size() || i < path.size()) continue;
      path.push_back(static_cast<int32_t>(rows_.size()));
      rows_.push_back({tokens[i], parent, static_cast<int32_t>(i)});
      next_.emplace_back();
    }
    before = tokens;
  }
}

int32_t LabelTree::edge_of(int32_t row, int32_t token) {
  std::vector<Next>& next = next_[static_cast<size_t>(row) + 1];
  for (const Next& known : next)
    if (known.token == token) return known.edge;
  next.push_back({token, static_cast<int32_t>(edges_++)});
  return next.back().edge;
}

Status LabelTree::supply(int32_t row, std::span<const float> logits,
                         std::vector<double>& edges) const {
  const double total = log_sum_exp(logits);
  if (!std::isfinite(total))
    return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
  for (const Next& next : next_[static_cast<size_t>(row) + 1]) {
    if (next.token < 0 || static_cast<size_t>(next.token) >= logits.size())
      return Error{ErrorCode::kInvalidArgument, "a label's token lies outside the vocabulary", ""};
    edges[static_cast<size_t>(next.edge)] = logits[static_cast<size_t>(next.token)] - total;
  }
  return {};
}

std::vector<double> LabelTree::log_likelihoods(std::span<const double> edges) const {
  std::vector<double> sums;
  for (const std::vector<int32_t>& path : paths_) {
    double sum = 0;
    for (const int32_t edge : path) sum += edges[static_cast<size_t>(edge)];
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace dbsa
