#include "pipeline/answer/forward_batch.h"

#include <algorithm>
#include <iterator>
#include <thread>

#include "config/stopwatch.h"

namespace dbsa {

Result<ForwardOutput> SingleForward::run(const ForwardInput& input, std::span<const ScoreAsk> asks,
                                         const Decoder::LayerHook& before_layer) {
  const Stopwatch clock;
  DBSA_ASSIGN_OR_RETURN(std::vector<host::TokenScores> scores,
                        model_.score(input, asks, before_layer));
  return ForwardOutput{std::move(scores), clock.seconds()};
}

void ForwardBatch::run_tasks(int64_t count, const std::function<void(int64_t)>& task) {
  std::vector<std::jthread> threads;
  std::unique_lock lock(mutex_);
  failure_ = nullptr;
  calls_.reserve(static_cast<size_t>(count));  // so that no task fails to add its own
  try {
    for (int64_t i = 0; i < count; ++i) {
      threads.emplace_back([this, &task, i] {
        const std::lock_guard turn(mutex_);
        try {
          task(i);
        } catch (...) {
          fail();
        }
        --active_;
        changed_.notify_all();
      });
    }
  } catch (...) {  // no more threads: those that there are go on to their end
    fail();
  }
  active_ = static_cast<int64_t>(threads.size());
  for (;;) {
    changed_.wait(lock, [this] { return static_cast<int64_t>(calls_.size()) == active_; });
    if (active_ == 0) break;
    run_pass();
  }
  lock.unlock();
  threads.clear();
  if (failure_) std::rethrow_exception(failure_);
}

void ForwardBatch::fail() {
  if (!failure_) failure_ = std::current_exception();
}

Result<ForwardOutput> ForwardBatch::run(const ForwardInput& input, std::span<const ScoreAsk> asks,
                                        const Decoder::LayerHook& before_layer) {
  Call call{&input, asks, &before_layer};
  calls_.push_back(&call);
  changed_.notify_all();
  // The task holds the lock; the wait gives its turn away.
  std::unique_lock lock(mutex_, std::adopt_lock);
  changed_.wait(lock, [&] { return call.done; });
  lock.release();
  return std::move(call.output);
}

// Computes the calls that wait longest and lets their tasks go on.
void ForwardBatch::run_pass() {
  size_t taken = 0;
  int64_t rows = 0;
  while (taken < calls_.size()) {
    const auto more = static_cast<int64_t>(calls_[taken]->input->ids.size());
    if (taken > 0 && rows + more > most_rows_) break;
    rows += more;
    ++taken;
  }
  const std::span<Call*> pass = std::span(calls_).first(taken);
  try {
    compute_or_halve(pass);
  } catch (...) {
    fail();
    for (Call* call : pass) call->output = Error{ErrorCode::kRun, "a forward pass failed", ""};
  }
  for (Call* call : pass) call->done = true;
  calls_.erase(calls_.begin(), calls_.begin() + static_cast<std::ptrdiff_t>(taken));
  changed_.notify_all();
}

// Where there is no room for all together there may be for fewer.
void ForwardBatch::compute_or_halve(std::span<Call*> calls) {
  const Status status = compute(calls);
  if (status.ok()) return;
  if (status.error().code == ErrorCode::kEnvironment && calls.size() > 1) {
    compute_or_halve(calls.first(calls.size() / 2));
    compute_or_halve(calls.subspan(calls.size() / 2));
    return;
  }
  for (Call* call : calls) call->output = status.error();
}

Status ForwardBatch::compute(std::span<Call*> calls) {
  ForwardInput together;
  std::vector<ScoreAsk> asks;
  for (const Call* call : calls) {
    const auto first = static_cast<int64_t>(together.ids.size());
    const ForwardInput& own = *call->input;
    together.ids.insert(together.ids.end(), own.ids.begin(), own.ids.end());
    together.positions.insert(together.positions.end(), own.positions.begin(), own.positions.end());
    together.ranges.insert(together.ranges.end(), own.ranges.begin(), own.ranges.end());
    for (const ScoreAsk& ask : call->asks) asks.push_back({first + ask.row, ask.tokens});
  }
  const Decoder::LayerHook before_layer = [&](int32_t layer) -> Status {
    for (Call* call : calls) {
      if (!*call->before_layer) continue;
      const Stopwatch clock;
      DBSA_RETURN_IF_ERROR((*call->before_layer)(layer));
      call->hook_seconds += clock.seconds();
    }
    return {};
  };
  const Stopwatch clock;
  DBSA_ASSIGN_OR_RETURN(std::vector<host::TokenScores> scores,
                        model_.score(together, asks, before_layer));
  double shared = clock.seconds();
  for (const Call* call : calls) shared -= call->hook_seconds;
  const auto seconds = [&](const Call& call) {
    return call.hook_seconds + shared * static_cast<double>(call.input->ids.size()) /
                                   static_cast<double>(together.ids.size());
  };
  auto begin = std::make_move_iterator(scores.begin());
  for (Call* call : calls) {
    const auto end = begin + static_cast<std::ptrdiff_t>(call->asks.size());
    call->output = ForwardOutput{{begin, end}, seconds(*call)};
    begin = end;
  }
  return {};
}

}  // namespace dbsa
