#include "pipeline/forward_batch.h"

#include <algorithm>
#include <thread>

#include "pipeline/stopwatch.h"

namespace dbsa {

Result<ForwardOutput> SingleForward::run(const ForwardInput& input,
                                         std::span<const int64_t> logit_rows,
                                         const Llama::LayerHook& before_layer) {
  const Stopwatch clock;
  DBSA_ASSIGN_OR_RETURN(std::vector<float> logits, model_.forward(input, logit_rows, before_layer));
  return ForwardOutput{std::move(logits), clock.seconds()};
}

void ForwardBatch::run_tasks(int64_t count, const std::function<void(int64_t)>& task) {
  std::vector<std::jthread> threads;
  std::unique_lock lock(mutex_);
  active_ = count;
  failure_ = nullptr;
  for (int64_t i = 0; i < count; ++i) {
    threads.emplace_back([this, &task, i] {
      const std::lock_guard turn(mutex_);
      try {
        task(i);
      } catch (...) {
        if (!failure_) failure_ = std::current_exception();
      }
      --active_;
      changed_.notify_all();
    });
  }
  for (;;) {
    changed_.wait(lock, [this] { return static_cast<int64_t>(calls_.size()) == active_; });
    if (active_ == 0) break;
    run_calls();
  }
  lock.unlock();
  threads.clear();
  if (failure_) std::rethrow_exception(failure_);
}

Result<ForwardOutput> ForwardBatch::run(const ForwardInput& input,
                                        std::span<const int64_t> logit_rows,
                                        const Llama::LayerHook& before_layer) {
  // The task holds the lock; the wait gives its turn away.
  std::unique_lock lock(mutex_, std::adopt_lock);
  Call call{&input, logit_rows, &before_layer};
  calls_.push_back(&call);
  changed_.notify_all();
  changed_.wait(lock, [&] { return call.done; });
  lock.release();
  return std::move(call.output);
}

void ForwardBatch::run_calls() {
  std::vector<Call*> waiting;
  waiting.swap(calls_);
  for (size_t begin = 0; begin < waiting.size();) {
    size_t end = begin;
    int64_t rows = 0;
    while (end < waiting.size()) {
      const auto more = static_cast<int64_t>(waiting[end]->input->ids.size());
      if (end > begin && rows + more > most_rows_) break;
      rows += more;
      ++end;
    }
    run_pass(std::span(waiting).subspan(begin, end - begin));
    begin = end;
  }
  for (Call* call : waiting) call->done = true;
  changed_.notify_all();
}

void ForwardBatch::run_pass(std::span<Call*> calls) {
  ForwardInput together;
  std::vector<int64_t> logit_rows;
  for (const Call* call : calls) {
    const auto first = static_cast<int64_t>(together.ids.size());
    const ForwardInput& own = *call->input;
    together.ids.insert(together.ids.end(), own.ids.begin(), own.ids.end());
    together.positions.insert(together.positions.end(), own.positions.begin(), own.positions.end());
    together.ranges.insert(together.ranges.end(), own.ranges.begin(), own.ranges.end());
    for (const int64_t row : call->logit_rows) logit_rows.push_back(first + row);
  }
  const Llama::LayerHook before_layer = [&](int32_t layer) -> Status {
    for (Call* call : calls) {
      if (!*call->before_layer) continue;
      const Stopwatch clock;
      DBSA_RETURN_IF_ERROR((*call->before_layer)(layer));
      call->hook_seconds += clock.seconds();
    }
    return {};
  };
  const Stopwatch clock;
  Result<std::vector<float>> logits = std::vector<float>();
  try {
    logits = model_.forward(together, logit_rows, before_layer);
  } catch (...) {  // the tasks must end before it may go on
    if (!failure_) failure_ = std::current_exception();
    logits = Error{ErrorCode::kRun, "a forward pass failed", ""};
  }
  double shared = clock.seconds();
  for (const Call* call : calls) shared -= call->hook_seconds;
  const size_t vocabulary =
      logits.ok() && !logit_rows.empty() ? logits->size() / logit_rows.size() : 0;
  size_t at = 0;
  for (Call* call : calls) {
    if (!logits.ok()) {
      call->output = logits.error();
      continue;
    }
    const size_t floats = call->logit_rows.size() * vocabulary;
    const auto begin = logits->begin() + static_cast<std::ptrdiff_t>(at);
    const double share = shared * static_cast<double>(call->input->ids.size()) /
                         static_cast<double>(together.ids.size());
    call->output = ForwardOutput{{begin, begin + static_cast<std::ptrdiff_t>(floats)},
                                 share + call->hook_seconds};
    at += floats;
  }
}

}  // namespace dbsa
