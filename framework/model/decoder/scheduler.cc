#include "model/decoder/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/stopwatch.h"

namespace dbsa {

Scheduler::Scheduler(Decoder& model, int64_t most_rows)
    : model_(model), most_rows_(most_rows), thread_([this] { loop(); }) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  entered_.notify_one();
  thread_.join();
}

void Scheduler::run(std::span<Request* const> requests) {
  Group group;
  group.left = requests.size();
  std::unique_lock lock(mutex_);
  for (Request* request : requests) {
    Entry& entry = joining_.emplace_back();
    entry.request = request;
    entry.group = &group;
  }
  entered_.notify_one();
  ended_.wait(lock, [&] { return group.left == 0; });
  if (group.failure) std::rethrow_exception(group.failure);
}

Status Scheduler::run_work(const std::function<Status()>& work) {
  if (std::this_thread::get_id() == thread_.get_id())
    return Error{ErrorCode::kRun,
                 "the model was asked for while it computes: a plugin that is called by a forward "
                 "pass must not ask for embeddings",
                 ""};
  Work item;
  item.work = &work;
  std::unique_lock lock(mutex_);
  work_.push_back(&item);
  entered_.notify_one();
  ended_.wait(lock, [&] { return item.done; });
  if (item.failure) std::rethrow_exception(item.failure);
  return std::move(item.status);
}

void Scheduler::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    entered_.wait(lock, [this] {
      return stopping_ || !joining_.empty() || !work_.empty() || !waiting_.empty();
    });
    if (joining_.empty() && work_.empty() && waiting_.empty()) return;
    std::vector<Entry> joining = std::exchange(joining_, {});
    Work* work = nullptr;
    if (!work_.empty()) {
      work = work_.front();
      work_.pop_front();
    }
    lock.unlock();
    for (Entry& entry : joining) advance(std::move(entry));
    if (work != nullptr) {
      try {
        work->status = (*work->work)();
      } catch (...) {
        work->failure = std::current_exception();
      }
    }
    if (!waiting_.empty()) run_pass();
    lock.lock();
    if (work != nullptr) work->done = true;
    for (auto& [group, failure] : over_) {
      if (failure && !group->failure) group->failure = failure;
      --group->left;
    }
    if (work != nullptr || !over_.empty()) ended_.notify_all();
    over_.clear();
  }
}

// Asks a request for its next rows.
void Scheduler::advance(Entry entry) {
  try {
    std::optional<Rows> rows = entry.request->next();
    if (!rows) return end(*entry.group, nullptr);
    entry.rows = *std::move(rows);
    entry.own_error = false;
    waiting_.push_back(std::move(entry));
  } catch (...) {
    end(*entry.group, std::current_exception());
  }
}

void Scheduler::end(Group& group, std::exception_ptr failure) {
  over_.emplace_back(&group, std::move(failure));
}

// Computes the steps that wait longest, and asks their requests for the next ones.
void Scheduler::run_pass() {
  std::vector<Entry> pass;
  int64_t rows = 0;
  while (!waiting_.empty()) {
    const auto more = static_cast<int64_t>(waiting_.front().rows.input->ids.size());
    if (!pass.empty() && rows + more > most_rows_) break;
    rows += more;
    pass.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  try {
    compute_or_halve(pass);
  } catch (...) {
    for (Entry& entry : pass) end(*entry.group, std::current_exception());
    return;
  }
  for (Entry& entry : pass) {
    try {
      entry.request->take(std::exchange(entry.output, ForwardOutput()));
    } catch (...) {
      end(*entry.group, std::current_exception());
      continue;
    }
    advance(std::move(entry));
  }
}

// One whose own check fails has its error; the others are computed without it. Where there is no
// room for all together there may be for fewer.
void Scheduler::compute_or_halve(std::span<Entry> entries) {
  if (entries.empty()) return;
  const Status status = compute(entries);
  if (status.ok()) return;
  const auto failed = std::find_if(entries.begin(), entries.end(),
                                   [](const Entry& entry) { return entry.own_error; });
  if (failed != entries.end()) {
    const auto before = static_cast<size_t>(failed - entries.begin());
    compute_or_halve(entries.first(before));
    compute_or_halve(entries.subspan(before + 1));
  } else if (status.error().code == ErrorCode::kEnvironment && entries.size() > 1) {
    compute_or_halve(entries.first(entries.size() / 2));
    compute_or_halve(entries.subspan(entries.size() / 2));
  } else {
    for (Entry& entry : entries) entry.output = status.error();
  }
}

Status Scheduler::compute(std::span<Entry> entries) {
  ForwardInput together;
  std::vector<ScoreAsk> asks;
  for (Entry& entry : entries) {
    entry.hook_seconds = 0;
    const auto first = static_cast<int64_t>(together.ids.size());
    const ForwardInput& own = *entry.rows.input;
    together.ids.insert(together.ids.end(), own.ids.begin(), own.ids.end());
    together.positions.insert(together.positions.end(), own.positions.begin(), own.positions.end());
    together.ranges.insert(together.ranges.end(), own.ranges.begin(), own.ranges.end());
    for (const ScoreAsk& ask : entry.rows.asks) asks.push_back({first + ask.row, ask.tokens});
  }
  const Decoder::LayerHook before_layer = [&](int32_t layer) -> Status {
    for (Entry& entry : entries) {
      if (!entry.rows.before_layer) continue;
      const Stopwatch clock;
      if (Status checked = entry.rows.before_layer(layer); !checked.ok()) {
        entry.output = checked.error();
        entry.own_error = checked.error().code != ErrorCode::kEnvironment;
        return checked;
      }
      entry.hook_seconds += clock.seconds();
    }
    return {};
  };
  const Stopwatch clock;
  DBSA_ASSIGN_OR_RETURN(std::vector<host::TokenScores> scores,
                        model_.score(together, asks, before_layer));
  double shared = clock.seconds();
  for (const Entry& entry : entries) shared -= entry.hook_seconds;
  auto begin = std::make_move_iterator(scores.begin());
  for (Entry& entry : entries) {
    const auto end = begin + static_cast<std::ptrdiff_t>(entry.rows.asks.size());
    const double share = shared * static_cast<double>(entry.rows.input->ids.size()) /
                         static_cast<double>(together.ids.size());
    entry.output = ForwardOutput{{begin, end}, entry.hook_seconds + share};
    begin = end;
  }
  return {};
}

}  // namespace dbsa
