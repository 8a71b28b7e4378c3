// What a pipeline comes to, short of computing: its model, its data, and its pool with plans.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>

#include "checks.h"
#include "model/model_config.h"
#include "pipeline/pool_builder.h"
#include "session.h"

namespace dbsa::cli {

struct Findings {
  Settings settings;
  ModelConfig model;
  int64_t parameters = 0;     // elements of all tensors
  bool half_weights = false;  // of 16 bits
  CheckedData data;
  std::vector<int64_t> query_tokens;  // of each query, its prompt included
  // Not made where it needs embeddings, which are computed.
  std::optional<BuiltPool> pool;

  int64_t blocks() const { return pool ? static_cast<int64_t>(pool->blocks.size()) : 0; }
  int64_t tokens() const;  // of the pool
};

// Checks model, data and pool. All faults in one error with their places.
Result<Findings> find_out(Session& session);

}  // namespace dbsa::cli
