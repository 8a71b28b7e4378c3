// Answerer: an opened pool and a loaded model, put together: stage two, from a query's text to its
// label. It holds no thread: requests are selected and finished on their callers', their rows meet
// in the model's scheduler.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/answer/answer.h"
#include "pipeline/answer/answer_decoding.h"
#include "pipeline/answer/block_rebuilder.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/answer/query_request.h"
#include "pipeline/answer/query_run.h"
#include "pipeline/answer/request_limits.h"
#include "pipeline/encode/block_cache.h"
#include "pipeline/model/loaded_model.h"
#include "pipeline/pool/opened_pool.h"

namespace dbsa {

// [any]
class Answerer {
 public:
  // What it borrows, and shares.
  struct Parts {
    const Settings& settings;
    host::HostServices& services;
    BlockCache& cache;
    std::shared_ptr<LoadedModel> model;
    std::shared_ptr<const OpenedPool> pool;
    std::shared_ptr<BlockRebuilder> rebuilder;
  };
  // calibration: none where answers need none, or where it is about to be made.
  Answerer(Parts parts, std::optional<Calibration> calibration)
      : parts_(std::move(parts)), calibration_(std::move(calibration)) {}

  // The same with another calibration.
  std::shared_ptr<Answerer> with_calibration(Calibration calibration) const {
    return std::make_shared<Answerer>(parts_, std::move(calibration));
  }

  const std::shared_ptr<const OpenedPool>& pool() const { return parts_.pool; }
  const std::optional<Calibration>& calibration() const { return calibration_; }

  // Answers one query. The query's own error is a kConfig error, or kPlugin. notes: may be nullptr.
  Result<Answer> answer(std::string_view text, const RequestLimits& limits,
                        AnswerNotes* notes = nullptr);
  // Answers several, in their order, their rows in the same forward passes. A pass counts in the
  // seconds of each answer with its share of the rows. An error is one that is not the query's own:
  // of the model, the store, memory, or a cancellation. evidence: empty, or of each text.
  std::vector<Result<Outcome>> answer_together(std::span<const std::string> texts,
                                               const RequestLimits& limits,
                                               std::span<LabelEvidence> evidence = {});
  // Answers a request that is selected and tokenised already. Not under vote.
  Result<Answer> answer_selected(QueryRequest request, const RequestLimits& limits,
                                 AnswerNotes* notes);

  QueryContext query_context() const;

 private:
  class Request;

  void run(std::span<Request* const> requests);
  Result<Answer> finish(Request& request);

  const Parts parts_;
  const std::optional<Calibration> calibration_;
  KnownPrior known_prior_;
};

// How many queries to answer together: model.batch_size, or what is chosen for 0.
int64_t batch_size(const Settings& settings);

// Says where the numbers lie that a failed computation (kRun) came of.
Error with_sources(Error error, const Settings& settings, const host::StoreKeys& store);

}  // namespace dbsa
