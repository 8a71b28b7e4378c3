// What a pipeline comes to, short of computing: its model, its data, and its pool with plans.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "commands/checks.h"
#include "model/config/model_config.h"
#include "model/decoder/decoder.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/pool/pool_builder.h"
#include "session.h"

namespace dbsa::cli {

struct Findings {
  Settings settings;
  ModelConfig model;
  Precision precision;  // as the backend computes
  uint64_t weight_bytes = 0;
  std::unique_ptr<Tokenizer> tokenizer;
  CheckedData data;
  int64_t truncated = 0;  // queries whose text would be cut; where there is a pool
  // [data.queries] tokens of each as the model reads it; 0 where it has an error or is not read.
  // Empty where queries are not checked.
  std::vector<int64_t> query_tokens;
  // Empty if it needs embeddings: none are computed here.
  std::optional<BuiltPool> pool;

  int64_t blocks() const { return pool ? static_cast<int64_t>(pool->blocks.size()) : 0; }
  int64_t tokens() const;  // of the pool
};

enum class QueryChecks { kEach, kNone };

// Checks model, data, pool, the folders that are to be written into and, where anything is written,
// whether the store has room for the pool (see store_room.h). With kEach it also makes the
// request of every query, short of computing it: what is wrong with one becomes its error in
// data.queries. All other faults in one error with their places.
Result<Findings> find_out(Session& session, Written written,
                          QueryChecks query_checks = QueryChecks::kEach);

}  // namespace dbsa::cli
