#include "icl/greedy_walk.h"

#include <algorithm>

namespace dbsa {

GreedyWalk::GreedyWalk(const LabelTrie& trie) : trie_(&trie) {
  at_ = trie.descend(0);
  settle();
}

std::optional<int32_t> GreedyWalk::needs() const {
  if (done_) return std::nullopt;
  return at_;
}

Status GreedyWalk::supply(std::span<const double> given) {
  if (done_) return Error{ErrorCode::kInvalidArgument, "the walk is done", ""};
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> scores,
                        child_log_probabilities(*trie_, at_, given));
  const auto children = trie_->children(at_);
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

// Records the label when a leaf is reached, and continues with what may still matter.
void GreedyWalk::settle() {
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
void GreedyWalk::take_next_deviation() {
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

}  // namespace dbsa
