// What a query's pass computes for one answer, and the answer made of it, for each decoding.method.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "icl/label_reading.h"
#include "model/config/model_config.h"
#include "pipeline/answer/answer.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/answer/label_decoder.h"
#include "pipeline/answer/query_request.h"
#include "pipeline/pool/opened_pool.h"

namespace dbsa {

// What an answer came of, noted on its way for those who ask.
struct AnswerNotes {
  QueryRequest request;
  std::vector<KvLoaded> kv_loaded;   // [selected blocks]
  std::vector<LabelReading> labels;  // as Explanation's
  // Also to be found: the log-probability of a label of the pool, or of a free answer's tokens.
  std::optional<int32_t> label;
  std::vector<int32_t> tokens;
  double log_probability_of_tokens = 0;
};

// What else a caller wants besides the answer; each may be nullptr.
struct AnswerExtras {
  LabelEvidence* evidence = nullptr;  // filled in instead of the answer's label
  AnswerNotes* notes = nullptr;
};

// What a scorer subtracts behind the blocks of the last request; the next may have the same. [any]
class KnownPrior {
 public:
  std::optional<std::vector<double>> find(const Selection& selection) const;
  void keep(const Selection& selection, std::vector<double> prior);

 private:
  mutable std::mutex mutex_;
  std::vector<SelectedBlock> blocks_;
  int64_t query_start_ = -1;
  std::vector<double> prior_;
};

// What decoding an answer takes; borrowed.
struct DecodingContext {
  const Settings& settings;
  const Tokenizer& tokenizer;
  const ModelConfig& model;
  const OpenedPool& pool;
  const Calibration* calibration;  // nullptr: none
  KnownPrior& known_prior;

  double temperature() const;
  // Whether probabilities are others than those of the scores, so that all labels are needed.
  bool probabilities_change() const;
};

class AnswerDecoding {
 public:
  virtual ~AnswerDecoding() = default;
  // In their order; as long as this lives.
  virtual std::vector<Decoding*> decodings() = 0;
  // Fills in the label and what the extras ask for, once all decodings are done.
  virtual Status finish(Answer& answer) = 0;
};

// ids: the tokens that the pass computes before the answer, request.ids the last of them. request,
// ids and what the extras name outlive the result.
std::unique_ptr<AnswerDecoding> make_decoding(const DecodingContext& context,
                                              const QueryRequest& request,
                                              std::span<const int32_t> ids, AnswerExtras extras);

// How far tokens may follow the query: the longest label, or what free decoding may write.
int64_t longest_continuation(const Settings& settings, const OpenedPool& pool);
// Room for tokens behind the query.
int64_t continuation_tokens(const Settings& settings, const OpenedPool& pool);

// The label that most demonstrations of the selection have; of several, the one that the retriever
// ranked best. Shares count as probabilities. notes: may be nullptr.
Answer vote(const OpenedPool& pool, const Selection& selection, AnswerNotes* notes);

}  // namespace dbsa
