// A query's pass on its way through the scheduler: one decoding after the other.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <optional>
#include <vector>

#include "model/decoder/scheduler.h"
#include "pipeline/answer/label_decoder.h"
#include "pipeline/answer/query_pass.h"
#include "pipeline/answer/request_limits.h"

namespace dbsa {

// Made and read on the thread of its user, run on the scheduler's.
class QueryRun final : public Scheduler::Request {
 public:
  // Borrows the decodings and the services.
  QueryRun(QueryPass pass, std::vector<Decoding*> decodings, const RequestLimits& limits,
           const host::HostServices& services)
      : pass_(std::move(pass)),
        decodings_(std::move(decodings)),
        limits_(limits),
        services_(services) {}

  std::optional<Scheduler::Rows> next() override;
  void take(Result<ForwardOutput> output) override;

  // How it ended: kCancelled, kCorrupt where a stored plane did not match, errors of the pass and
  // of the decodings.
  const Status& status() const { return status_; }
  // Of the first step, and of all others; without verifying, and of shared passes its share.
  double first_seconds() const { return first_seconds_; }
  double later_seconds() const { return later_seconds_; }
  double verify_seconds() const { return pass_.verify_seconds(); }

 private:
  Status begin_next();
  Status take_scores(const ForwardOutput& output);
  void count(double seconds);

  QueryPass pass_;
  std::vector<Decoding*> decodings_;
  const RequestLimits& limits_;
  const host::HostServices& services_;
  size_t at_ = 0;  // of decodings_
  int steps_ = 0;  // begun
  bool over_ = false;
  Status status_;
  double first_seconds_ = 0, later_seconds_ = 0;
  double verified_before_ = 0;  // of the pass, when a chunk was taken last
};

}  // namespace dbsa
