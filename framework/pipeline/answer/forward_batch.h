// How the rows of queries reach the model: each query's on their own, or those of several queries
// in one forward pass, so that weights are read once for all of them. A row's result is the same
// bits either way.
#pragma once

#include <dbsa/sdk/result.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "model/decoder/decoder.h"

namespace dbsa {

struct ForwardOutput {
  std::vector<host::TokenScores> scores;  // [asks]
  double seconds = 0;  // what the rows cost: of a pass that is shared, their share
};

class Forward {
 public:
  virtual ~Forward() = default;
  // As Decoder::score.
  virtual Result<ForwardOutput> run(const ForwardInput& input, std::span<const ScoreAsk> asks,
                                    const Decoder::LayerHook& before_layer) = 0;
};

class SingleForward : public Forward {
 public:
  explicit SingleForward(Decoder& model) : model_(model) {}
  Result<ForwardOutput> run(const ForwardInput& input, std::span<const ScoreAsk> asks,
                            const Decoder::LayerHook& before_layer) override;

 private:
  Decoder& model_;
};

// Several tasks that call run() as if each were the only one. Each has its own thread, but only one
// runs at a time; whenever all of them wait for rows, these are computed together.
class ForwardBatch : public Forward {
 public:
  // most_rows: of a pass, unless a single call has more.
  ForwardBatch(Decoder& model, int64_t most_rows) : model_(model), most_rows_(most_rows) {}

  // Calls task(0) to task(count - 1) and returns when all are done; an exception of one of them is
  // thrown again. Passes run on the calling thread. While a task runs, no other does, so tasks may
  // share what is not safe for threads.
  void run_tasks(int64_t count, const std::function<void(int64_t)>& task);

  // Within a task only. An error of the pass - of any task's before_layer, too - is given to all
  // that take part in it; on kEnvironment (out of memory, for example) the batch is split and
  // retried first.
  Result<ForwardOutput> run(const ForwardInput& input, std::span<const ScoreAsk> asks,
                            const Decoder::LayerHook& before_layer) override;

 private:
  struct Call {
    const ForwardInput* input;
    std::span<const ScoreAsk> asks;
    const Decoder::LayerHook* before_layer;
    double hook_seconds = 0;
    Result<ForwardOutput> output = ForwardOutput();
    bool done = false;
  };
  void run_pass();
  void compute_or_halve(std::span<Call*> calls);
  Status compute(std::span<Call*> calls);
  void fail();  // keeps the exception that is being handled

  Decoder& model_;
  const int64_t most_rows_;
  std::mutex mutex_;  // held by whoever runs
  std::condition_variable changed_;
  std::vector<Call*> calls_;  // that wait, in the order they came
  int64_t active_ = 0;        // tasks that have not ended
  std::exception_ptr failure_;
};

}  // namespace dbsa
