#include "pipeline/answer/query_run.h"

#include <utility>

#include "config/stopwatch.h"

namespace dbsa {

std::optional<Scheduler::Rows> QueryRun::next() {
  if (over_) return std::nullopt;
  const Stopwatch clock;
  status_ = limits_.check(services_);
  if (status_.ok() && !pass_.in_step()) status_ = begin_next();
  std::optional<Scheduler::Rows> rows;
  if (status_.ok() && pass_.in_step()) rows = pass_.rows();
  over_ = !rows;
  count(clock.seconds());
  return rows;
}

// The next step there is.
Status QueryRun::begin_next() {
  for (; at_ < decodings_.size(); ++at_) {
    std::optional<QueryPass::Step> step = decodings_[at_]->next();
    if (!step) continue;
    ++steps_;
    return pass_.begin_step(*std::move(step));
  }
  return {};
}

void QueryRun::take(Result<ForwardOutput> output) {
  const Stopwatch clock;
  const double verified = pass_.verify_seconds() - verified_before_;
  verified_before_ = pass_.verify_seconds();
  const double seconds = output.ok() ? output->seconds - verified : 0;
  status_ = output.ok() ? take_scores(*output) : Status(std::move(output).error());
  over_ = !status_.ok();
  count(seconds + clock.seconds());
}

Status QueryRun::take_scores(const ForwardOutput& output) {
  return pass_.take(output.scores, [this](size_t ask, const host::TokenScores& scores) {
    return decodings_[at_]->take(ask, scores);
  });
}

void QueryRun::count(double seconds) { (steps_ <= 1 ? first_seconds_ : later_seconds_) += seconds; }

}  // namespace dbsa
