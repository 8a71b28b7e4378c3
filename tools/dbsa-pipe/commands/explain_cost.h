// What a pipeline costs, counted before it runs: rows, pairs, operations and bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "commands/findings.h"
#include "session.h"

namespace dbsa::cli {

// Floating-point operations.
struct Operations {
  double linear = 0;
  double attention = 0;
  double total() const { return linear + attention; }
};

// Layers that are alike in their window.
struct WindowLayers {
  int64_t window = 0;  // 0: none
  int64_t layers = 0;
  int64_t pairs = 0;  // a row and a token that it sees in such a layer, while encoding
};

struct PipelineCost {
  int64_t blocks = 0, tokens = 0;
  int64_t shortest = 0, longest = 0;  // blocks, tokens
  int64_t pairs = 0;                  // a row and a token that the mask shows it, while encoding
  int64_t dense_pairs = 0;            // the same under a dense causal mask
  std::vector<WindowLayers> windows;  // ascending; of an empty pool or without stored KV no pairs
  uint64_t kv_bytes = 0;
  uint64_t weight_bytes = 0;  // as computed with
  Operations encode, request;
  // Of a request, whose blocks have the pool's mean length.
  int64_t selected_blocks = 0, selected_tokens = 0, query_tokens = 0;
  uint64_t kv_loaded_bytes = 0, kv_all_layers_bytes = 0;  // see KvLoaded
};

// Tokens start.. of a prompt, in one segment.
struct Span {
  int64_t start = 0;
  int64_t tokens = 0;
};

// Where the blocks of a request stand, and its query.
struct PlacedRequest {
  std::vector<Span> blocks;
  int64_t query_start = 0;
};
PlacedRequest place_request(const Findings& found, const PipelineCost& cost);

// query_tokens: of a request.
PipelineCost pipeline_cost(Session& session, const Findings& found, int64_t query_tokens);

// What a store that is empty needs for found.pool: as PipelineCost::kv_bytes, but a block that
// stands in the pool twice is stored once.
uint64_t needed_store_bytes(Session& session, const Findings& found);

}  // namespace dbsa::cli
