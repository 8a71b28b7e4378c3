#include "icl/best_first_walk.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dbsa {

// For heaps of prefixes.
class BestFirstWalk::LessLikely {
 public:
  explicit LessLikely(const LabelTrie& trie) : trie_(trie) {}
  bool operator()(const Prefix& a, const Prefix& b) const {
    if (a.log_probability != b.log_probability) return a.log_probability < b.log_probability;
    return trie_.node(a.node).min_label > trie_.node(b.node).min_label;
  }

 private:
  const LabelTrie& trie_;
};

BestFirstWalk::BestFirstWalk(const LabelTrie& trie)
    : trie_(&trie),
      open_({{0, trie.descend(0)}}),
      log_probability_(static_cast<size_t>(trie.size()), 0.0),
      computed_(static_cast<size_t>(trie.size()), false),
      scored_(static_cast<size_t>(trie.size()), false),
      tokens_(trie.inner_count() <= kFirstTokens ? kFirstTokens : 0) {
  settle();
}

// With the log-probabilities that are known where the prefix is scored, else with estimates.
void BestFirstWalk::push_children(const Prefix& prefix, std::vector<Prefix>& heap) const {
  const auto labels_of = [&](int32_t node) {
    return static_cast<double>(trie_->node(node).label_count);
  };
  for (const int32_t child : trie_->children(prefix.node)) {
    const double log_probability =
        scored_[static_cast<size_t>(prefix.node)]
            ? log_probability_[static_cast<size_t>(child)]
            : prefix.log_probability + std::log(labels_of(child) / labels_of(prefix.node));
    heap.push_back({log_probability, trie_->descend(child)});
    std::push_heap(heap.begin(), heap.end(), LessLikely(*trie_));
  }
}

// Opens the likeliest prefix for as long as its scores are known.
void BestFirstWalk::settle() {
  while (!done_ && !open_.empty()) {
    const Prefix top = open_.front();
    const int32_t label = trie_->node(top.node).label;
    if (label < 0 && !scored_[static_cast<size_t>(top.node)]) return;
    std::pop_heap(open_.begin(), open_.end(), LessLikely(*trie_));
    open_.pop_back();
    if (label < 0) {
      push_children(top, open_);
    } else if (!found_best_) {
      decision_.best = {label, top.log_probability};
      found_best_ = true;
    } else {
      decision_.runner_up = LabelScore{label, top.log_probability};
      done_ = true;
    }
  }
  done_ = true;
}

// A log-probability that the runner-up reaches for certain: behind a prefix the likeliest of n
// labels has an n-th of its probability at least, and the runner-up is the second of such labels.
double BestFirstWalk::certain_runner_up() const {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  double first = found_best_ ? std::numeric_limits<double>::infinity() : kNone;
  double second = kNone;
  for (const Prefix& prefix : open_) {
    const double least = prefix.log_probability -
                         std::log(static_cast<double>(trie_->node(prefix.node).label_count));
    second = std::max(second, std::min(first, least));
    first = std::max(first, least);
  }
  return second;
}

std::vector<int32_t> BestFirstWalk::next() {
  settle();
  std::vector<int32_t> nodes;
  if (done_) return nodes;
  const double enough = certain_runner_up();
  const size_t most = static_cast<size_t>(tokens_) + (computed_[0] ? 0 : 1);  // node 0 is no token
  std::vector<Prefix> heap = open_;
  while (!heap.empty()) {
    const Prefix prefix = heap.front();
    std::pop_heap(heap.begin(), heap.end(), LessLikely(*trie_));
    heap.pop_back();
    if (!nodes.empty() && prefix.log_probability < enough) break;
    if (!trie_->is_branching(prefix.node)) continue;  // a label
    if (!scored_[static_cast<size_t>(prefix.node)]) {
      const size_t before = nodes.size();
      for (int32_t at = prefix.node; at >= 0 && !computed_[static_cast<size_t>(at)];
           at = trie_->node(at).parent)
        nodes.push_back(at);
      if (before > 0 && nodes.size() > most) {
        nodes.resize(before);
        break;
      }
      for (size_t i = before; i < nodes.size(); ++i)
        computed_[static_cast<size_t>(nodes[i])] = true;
    }
    push_children(prefix, heap);
  }
  std::sort(nodes.begin(), nodes.end());
  tokens_ = tokens_ == 0 ? kFirstTokens : 2 * tokens_;
  return nodes;
}

Status BestFirstWalk::supply(int32_t node, std::span<const double> given) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores,
                        child_log_probabilities(*trie_, node, given));
  const std::span<const int32_t> children = trie_->children(node);
  double above = 0;  // of the prefix, which stands at the head of a chain
  for (int32_t at = node; at > 0; at = trie_->node(at).parent) {
    above = log_probability_[static_cast<size_t>(at)];
    if (trie_->is_branching(trie_->node(at).parent)) break;
  }
  for (size_t i = 0; i < children.size(); ++i)
    log_probability_[static_cast<size_t>(children[i])] = above + scores[i];
  scored_[static_cast<size_t>(node)] = true;
  return {};
}

}  // namespace dbsa
