#include "icl/trie_reading.h"

#include <algorithm>

#include "icl/label_score.h"

namespace dbsa {

TrieReading::TrieReading(const LabelTrie& trie)
    : trie_(&trie),
      leaves_(static_cast<size_t>(trie.node(0).label_count), 0),
      scored_(static_cast<size_t>(trie.size()), false),
      log_probability_(static_cast<size_t>(trie.size()), 0.0) {
  for (int32_t node = 0; node < trie.size(); ++node)
    if (const int32_t label = trie.node(node).label; label >= 0)
      leaves_[static_cast<size_t>(label)] = node;
}

Status TrieReading::supply(int32_t node, std::span<const double> scores) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> shares,
                        child_log_probabilities(*trie_, node, scores));
  const std::span<const int32_t> children = trie_->children(node);
  for (size_t i = 0; i < children.size(); ++i)
    log_probability_[static_cast<size_t>(children[i])] = shares[i];
  scored_[static_cast<size_t>(node)] = true;
  return {};
}

std::vector<int32_t> TrieReading::way_to(int32_t label) const {
  std::vector<int32_t> way;
  for (int32_t node = leaves_[static_cast<size_t>(label)]; node > 0;
       node = trie_->node(node).parent)
    way.push_back(node);
  std::reverse(way.begin(), way.end());
  return way;
}

std::vector<int32_t> TrieReading::missing(int32_t label) const {
  std::vector<int32_t> nodes;
  for (const int32_t node : way_to(label))
    if (const int32_t parent = trie_->node(node).parent;
        trie_->is_branching(parent) && !is_scored(parent))
      nodes.push_back(parent);
  return nodes;
}

LabelReading TrieReading::read(int32_t label) const {
  LabelReading reading;
  bool complete = true;
  for (const int32_t node : way_to(label)) {
    const int32_t parent = trie_->node(node).parent;
    ReadToken& token = reading.tokens.emplace_back();
    token.token = trie_->node(node).token;
    if (trie_->is_branching(parent) && !is_scored(parent)) {
      complete = false;
      continue;
    }
    token.log_probability = log_probability_[static_cast<size_t>(node)];
    if (complete) reading.at_most += *token.log_probability;
  }
  if (complete) reading.log_probability = reading.at_most;
  return reading;
}

}  // namespace dbsa
