#include "icl/trie_walk.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

// Log-softmax of the children's logits, in children order.
Result<std::vector<double>> child_log_probabilities(const LabelTrie& trie, int32_t node,
                                                    std::span<const float> logits) {
  std::vector<double> scores;
  for (const int32_t child : trie.children(node)) {
    const int32_t token = trie.node(child).token;
    if (token < 0 || static_cast<size_t>(token) >= logits.size())
      return Error{ErrorCode::kInvalidArgument,
                   "token " + std::to_string(token) + " of a label lies outside the " +
                       std::to_string(logits.size()) + " logits",
                   ""};
    if (!std::isfinite(logits[token]))
      return Error{ErrorCode::kRun,
                   "decoding: expected a finite logit for token " + std::to_string(token) +
                       ", found " + std::to_string(logits[token]) +
                       "; check the model's weights, or compute in f32",
                   ""};
    scores.push_back(logits[token]);
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - top);
  const double log_sum = top + std::log(sum);
  for (double& score : scores) score -= log_sum;
  return scores;
}

}  // namespace

TrieWalk::TrieWalk(const LabelTrie& trie) : trie_(&trie) {
  at_ = trie.descend(0);
  settle();
}

std::optional<int32_t> TrieWalk::needs() const {
  if (done_) return std::nullopt;
  return at_;
}

Status TrieWalk::supply(std::span<const float> logits) {
  if (done_) return Error{ErrorCode::kInvalidArgument, "the walk is done", ""};
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores,
                        child_log_probabilities(*trie_, at_, logits));
  // Children stand in the order of their least label, so the first of equals is right.
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  const auto children = trie_->children(at_);
  if (greedy_) {
    int64_t second = best == 0 ? 1 : 0;
    for (int64_t i = 0; i < static_cast<int64_t>(scores.size()); ++i)
      if (i != best && scores[i] > scores[second]) second = i;
    deviations_.push_back({children[second], log_probability_ + scores[second]});
  }
  log_probability_ += scores[best];
  at_ = trie_->descend(children[best]);
  settle();
  return {};
}

// Records the label when a leaf is reached, and goes on to what may still matter.
void TrieWalk::settle() {
  while (!done_ && !trie_->is_branching(at_)) {
    const LabelScore reached = {trie_->node(at_).label, log_probability_};
    if (greedy_) {
      decision_.best = reached;
      greedy_ = false;
    } else {
      auto& second = decision_.runner_up;
      if (!second || reached.log_probability > second->log_probability ||
          (reached.log_probability == second->log_probability && reached.label < second->label))
        second = reached;
    }
    take_next_deviation();
  }
}

// The most promising deviation, unless none can beat the runner-up found so far.
void TrieWalk::take_next_deviation() {
  const auto least_label = [&](const Deviation& d) { return trie_->node(d.child).min_label; };
  const auto next = std::max_element(deviations_.begin(), deviations_.end(),
                                     [&](const Deviation& a, const Deviation& b) {
                                       if (a.bound != b.bound) return a.bound < b.bound;
                                       return least_label(a) > least_label(b);
                                     });
  const auto& second = decision_.runner_up;
  if (next == deviations_.end() || (second && (next->bound < second->log_probability ||
                                               (next->bound == second->log_probability &&
                                                least_label(*next) > second->label)))) {
    done_ = true;
    return;
  }
  log_probability_ = next->bound;
  at_ = trie_->descend(next->child);
  deviations_.erase(next);
}

Result<Decision> decide(
    const LabelTrie& trie,
    const std::function<Result<std::vector<float>>(int32_t node)>& logits_after) {
  TrieWalk walk(trie);
  while (const auto node = walk.needs()) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> logits, logits_after(*node));
    DBSA_RETURN_IF_ERROR(walk.supply(logits));
  }
  return walk.decision();
}

}  // namespace dbsa
