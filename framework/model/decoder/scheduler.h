// Scheduler: the one queue for a loaded model, and the one thread that computes what stands in it.
//
// Any number of threads enter requests. A request gives its rows step by step, and the rows of all
// requests that wait meet in one forward pass, so that weights are read once for all of them; a
// row's result is the same bits in every pass. Requests join and leave between two
// passes. Everything else that needs the model (a chunk of encoding, embeddings) is work, done
// between two passes, too: passes and work take turns.
#pragma once

#include <dbsa/sdk/result.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "model/decoder/decoder.h"

namespace dbsa {

struct ForwardOutput {
  std::vector<host::TokenScores> scores;  // [asks]
  double seconds = 0;  // what the rows cost: of a pass that is shared, their share
};

// [any] unless said; nothing of it may be called on its own thread.
class Scheduler {
 public:
  // One step of a request, as Decoder::score takes it. Borrowed until take().
  struct Rows {
    const ForwardInput* input = nullptr;
    std::span<const ScoreAsk> asks;
    Decoder::LayerHook before_layer;
  };
  // Both functions are called on the scheduler's thread, in turn, and must not wait for anything;
  // before_layer may read stored planes.
  class Request {
   public:
    virtual ~Request() = default;
    // What it needs now; nothing: it has ended.
    virtual std::optional<Rows> next() = 0;
    // The scores, or why there are none. An error of before_layer is its own request's only;
    // one of the pass is that of all in it, on kEnvironment (out of memory, for example) once
    // each half has been tried separately.
    virtual void take(Result<ForwardOutput> output) = 0;
  };

  // most_rows: of a pass, unless one step has more. The model outlives this.
  Scheduler(Decoder& model, int64_t most_rows);
  // Waits for what is entered.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Returns when all have ended. What one of them, or its pass, throws is thrown here once the
  // others have ended.
  void run(std::span<Request* const> requests);
  void run(Request& request) {
    Request* const one = &request;
    run({&one, 1});
  }

  // Runs work on the scheduler's thread and returns its result; what it throws is thrown here.
  // kRun on that thread: a plugin that is called by the model asked for what needs the model.
  Status run_work(const std::function<Status()>& work);

 private:
  // Those who wait in one call of run().
  struct Group {
    size_t left = 0;
    std::exception_ptr failure;
  };
  struct Entry {
    Request* request = nullptr;
    Group* group = nullptr;
    Rows rows;
    double hook_seconds = 0;
    Result<ForwardOutput> output = ForwardOutput();
    bool own_error = false;  // output is what its own before_layer said
  };
  struct Work {
    const std::function<Status()>* work = nullptr;
    Status status;
    std::exception_ptr failure;
    bool done = false;
  };

  void loop();
  void advance(Entry entry);
  void end(Group& group, std::exception_ptr failure);
  void run_pass();
  void compute_or_halve(std::span<Entry> entries);
  Status compute(std::span<Entry> entries);

  Decoder& model_;
  const int64_t most_rows_;
  std::mutex mutex_;
  std::condition_variable entered_;  // for the scheduler's thread
  std::condition_variable ended_;    // for the others
  std::vector<Entry> joining_;       // under the lock, as all up to here
  std::deque<Work*> work_;
  bool stopping_ = false;
  std::deque<Entry> waiting_;  // with rows, in the order they came; the scheduler's thread's own
  std::vector<std::pair<Group*, std::exception_ptr>> over_;  // likewise: ended, not told yet
  std::thread thread_;
};

}  // namespace dbsa
