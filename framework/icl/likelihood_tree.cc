#include "icl/likelihood_tree.h"

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

}  // namespace

LikelihoodTree::LikelihoodTree(std::span<const LabelTokens> labels)
    : next_(1), paths_(labels.size()) {
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

int32_t LikelihoodTree::edge_of(int32_t row, int32_t token) {
  Next& next = next_[static_cast<size_t>(row) + 1];
  // In the order of sequences, those that share the edge are neighbours.
  if (!next.tokens.empty() && next.tokens.back() == token) return next.edges.back();
  next.tokens.push_back(token);
  next.edges.push_back(static_cast<int32_t>(edge_tokens_.size()));
  edge_tokens_.push_back(token);
  return next.edges.back();
}

Status LikelihoodTree::supply(int32_t row, std::span<const double> log_probabilities,
                              std::vector<double>& edges) const {
  const Next& next = next_[static_cast<size_t>(row) + 1];
  for (size_t i = 0; i < next.edges.size(); ++i) {
    if (!std::isfinite(log_probabilities[i]))
      return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
    edges[static_cast<size_t>(next.edges[i])] = log_probabilities[i];
  }
  return {};
}

std::vector<double> LikelihoodTree::log_likelihoods(std::span<const double> edges) const {
  std::vector<double> sums;
  for (const std::vector<int32_t>& path : paths_) {
    double sum = 0;
    for (const int32_t edge : path) sum += edges[static_cast<size_t>(edge)];
    sums.push_back(sum);
  }
  return sums;
}

std::vector<ReadToken> LikelihoodTree::read_label(size_t label,
                                                  std::span<const double> edges) const {
  std::vector<ReadToken> tokens;
  for (const int32_t edge : paths_[label])
    tokens.push_back({edge_tokens_[static_cast<size_t>(edge)], edges[static_cast<size_t>(edge)]});
  return tokens;
}

}  // namespace dbsa
