#include "icl/trie_walk.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

// Log-softmax of the children's scores.
Result<std::vector<double>> log_softmax(const LabelTrie& trie, std::span<const int32_t> children,
                                        std::span<const double> given) {
  for (size_t i = 0; i < children.size(); ++i)
    if (!std::isfinite(given[i]))
      return Error{ErrorCode::kRun,
                   "decoding: expected a finite logit for token " +
                       std::to_string(trie.node(children[i]).token) + ", found " +
                       std::to_string(given[i]) + "; check the model's weights, or compute in f32",
                   ""};
  std::vector<double> scores(given.begin(), given.end());
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

Status TrieWalk::supply(std::span<const double> given) {
  if (done_) return Error{ErrorCode::kInvalidArgument, "the walk is done", ""};
  const auto children = trie_->children(at_);
  if (given.size() != children.size())
    return Error{ErrorCode::kInvalidArgument, "the walk needs one score for each child", ""};
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores, log_softmax(*trie_, children, given));
  // Children stand in the order of their least label, so the first of equals is right.
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
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
    const std::function<Result<std::vector<double>>(int32_t node)>& scores_after) {
  TrieWalk walk(trie);
  while (const auto node = walk.needs()) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores, scores_after(*node));
    DBSA_RETURN_IF_ERROR(walk.supply(scores));
  }
  return walk.decision();
}

}  // namespace dbsa
