#include "sweep/halving.h"

#include <algorithm>
#include <numeric>

namespace dbsa {
namespace {

class Halving {
 public:
  Halving(const HalvingTask& task, size_t count, double until) : task_(task), until_(until) {
    result_.candidates.resize(count);
  }

  Result<HalvingResult> run() {
    std::vector<size_t> left(result_.candidates.size());
    std::iota(left.begin(), left.end(), size_t{0});
    begin_round(left);
    DBSA_RETURN_IF_ERROR(first_round(left));
    if (task_.more && queries() > 0 && !late()) {
      const size_t added = task_.more(result_.candidates, queries());
      DBSA_RETURN_IF_ERROR(catch_up(added, left));
    }
    end_round(left);
    while (left.size() > 1 && slices_ < task_.slices.size()) {
      keep_better_half(left);
      if (left.size() < 2) break;
      begin_round(left);
      DBSA_ASSIGN_OR_RETURN(const bool whole, answer_slice(left));
      if (!whole) break;
      end_round(left);
      if (left.size() == 2) break;  // the start and one other
    }
    const std::vector<size_t>& last = result_.rounds.back().candidates;
    result_.best = last.empty() ? 0 : last.front();
    return std::move(result_);
  }

 private:
  double time_left() const { return until_ - task_.seconds(); }
  bool late() const { return time_left() <= 0; }
  size_t queries(size_t slices) const {
    return static_cast<size_t>(
        std::accumulate(task_.slices.begin(),
                        task_.slices.begin() + static_cast<std::ptrdiff_t>(slices), int64_t{0}));
  }
  size_t queries() const { return queries(slices_); }

  void begin_round(const std::vector<size_t>& left) const {
    if (task_.round_begins) task_.round_begins(result_.rounds.size() + 1, left);
  }

  // The first slice by all, in their order while half of the time is left; then further ones while
  // half of what is left is enough for all.
  Status first_round(std::vector<size_t>& left) {
    std::vector<size_t> tried;
    for (const size_t candidate : left) {
      auto kind = SliceOutcome::Kind::kNoTime;
      if (task_.seconds() < until_ / 2) {
        DBSA_ASSIGN_OR_RETURN(kind, answer(candidate, 0));
      }
      if (kind == SliceOutcome::Kind::kAnswered) tried.push_back(candidate);
      if (kind == SliceOutcome::Kind::kNoTime) {
        result_.out_of_time = true;
        if (candidate == 0) break;  // the others have nothing to be compared with
      }
    }
    left = std::move(tried);
    if (left.empty()) return {};
    slices_ = 1;
    while (slices_ < task_.slices.size() && left.size() > 2 &&
           predicted(left, slices_) < time_left() / 2) {
      DBSA_ASSIGN_OR_RETURN(const bool whole, answer_slice(left));
      if (!whole) break;
    }
    return {};
  }

  // Lets all of `left` answer the next slice. Who fails is taken out. False where the time was not
  // enough: then the slice does not count.
  Result<bool> answer_slice(std::vector<size_t>& left) {
    std::vector<size_t> answered;
    for (const size_t candidate : left) {
      DBSA_ASSIGN_OR_RETURN(const SliceOutcome::Kind kind, answer(candidate, slices_));
      if (kind == SliceOutcome::Kind::kNoTime) {
        result_.out_of_time = true;
        return false;
      }
      if (kind == SliceOutcome::Kind::kAnswered) answered.push_back(candidate);
    }
    left = std::move(answered);
    ++slices_;
    return true;
  }

  // New candidates answer what the others have; who has no time for it stays out.
  Status catch_up(size_t added, std::vector<size_t>& left) {
    for (size_t i = 0; i < added; ++i) {
      const size_t candidate = result_.candidates.size();
      result_.candidates.emplace_back();
      auto kind = SliceOutcome::Kind::kAnswered;
      for (size_t slice = 0; slice < slices_ && kind == SliceOutcome::Kind::kAnswered; ++slice) {
        DBSA_ASSIGN_OR_RETURN(kind, answer(candidate, slice));
      }
      if (kind == SliceOutcome::Kind::kAnswered) left.push_back(candidate);
      if (kind == SliceOutcome::Kind::kNoTime) result_.out_of_time = true;
    }
    return {};
  }

  Result<SliceOutcome::Kind> answer(size_t index, size_t slice) {
    if (late()) return SliceOutcome::Kind::kNoTime;
    DBSA_ASSIGN_OR_RETURN(SliceOutcome outcome, task_.answer(index, slice, until_));
    Candidate& candidate = result_.candidates[index];
    if (outcome.kind == SliceOutcome::Kind::kFailed) {
      if (index == 0) return Error{ErrorCode::kRun, outcome.failure, ""};
      candidate.failure = std::move(outcome.failure);
    }
    if (outcome.kind != SliceOutcome::Kind::kAnswered) return outcome.kind;
    const SliceAnswers& answers = outcome.answers;
    candidate.right.insert(candidate.right.end(), answers.right.begin(), answers.right.end());
    ++candidate.slices;
    candidate.once_seconds = answers.once_seconds;
    candidate.query_seconds = answers.query_seconds;
    return outcome.kind;
  }

  double predicted(const std::vector<size_t>& left, size_t slice) const {
    double seconds = 0;
    for (const size_t index : left) {
      const Candidate& candidate = result_.candidates[index];
      seconds += candidate.once_seconds +
                 candidate.query_seconds * static_cast<double>(task_.slices[slice]);
    }
    return seconds;
  }

  // Best first; of equal ones the earlier, which changes less of the start.
  void sort(std::vector<size_t>& left) const {
    std::stable_sort(left.begin(), left.end(), [&](size_t a, size_t b) {
      const int64_t right_a = count_right(result_.candidates[a], queries());
      const int64_t right_b = count_right(result_.candidates[b], queries());
      return right_a != right_b ? right_a > right_b : a < b;
    });
  }

  void end_round(const std::vector<size_t>& left) {
    HalvingRound round = {queries(), left};
    sort(round.candidates);
    if (task_.round_ends) task_.round_ends(round, result_.candidates);
    result_.rounds.push_back(std::move(round));
  }

  // The better half besides the start, of which there is time for as many as answer the next slice.
  void keep_better_half(std::vector<size_t>& left) {
    sort(left);
    std::erase(left, size_t{0});
    left.resize((left.size() + 1) / 2);
    std::vector<size_t> kept = {0};
    for (const size_t candidate : left) {
      kept.push_back(candidate);
      if (predicted(kept, slices_) <= time_left()) continue;
      kept.pop_back();
      result_.out_of_time = true;
      break;
    }
    left = std::move(kept);
  }

  const HalvingTask& task_;
  const double until_;
  HalvingResult result_;
  size_t slices_ = 0;  // that count
};

}  // namespace

int64_t count_right(const Candidate& candidate, size_t queries) {
  const size_t known = std::min(queries, candidate.right.size());
  return std::count(candidate.right.begin(),
                    candidate.right.begin() + static_cast<std::ptrdiff_t>(known), 1);
}

Result<HalvingResult> halve(const HalvingTask& task, size_t count, double until) {
  return Halving(task, count, until).run();
}

Result<Confirmation> confirm(const HalvingTask& task, const std::vector<size_t>& candidates,
                             std::vector<Candidate> costs, double until) {
  Confirmation confirmation;
  confirmation.right.resize(candidates.size());
  for (; confirmation.slices < task.slices.size(); ++confirmation.slices) {
    const size_t slice = confirmation.slices;
    double turn = 0;
    for (const size_t index : candidates)
      turn += costs[index].once_seconds +
              costs[index].query_seconds * static_cast<double>(task.slices[slice]);
    if (task.seconds() + turn > until) return confirmation;
    std::vector<std::vector<char>> right;
    for (const size_t index : candidates) {
      DBSA_ASSIGN_OR_RETURN(SliceOutcome outcome, task.answer(index, slice, until));
      if (outcome.kind == SliceOutcome::Kind::kFailed)
        return Error{ErrorCode::kRun, outcome.failure, ""};
      if (outcome.kind == SliceOutcome::Kind::kNoTime) return confirmation;
      costs[index].once_seconds = outcome.answers.once_seconds;
      costs[index].query_seconds = outcome.answers.query_seconds;
      right.push_back(std::move(outcome.answers.right));
    }
    for (size_t i = 0; i < candidates.size(); ++i)
      confirmation.right[i].insert(confirmation.right[i].end(), right[i].begin(), right[i].end());
  }
  return confirmation;
}

}  // namespace dbsa
