#include "commands/explain_cost.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_set>

#include "host/attention_backend.h"
#include "model/checkpoint/weights.h"
#include "model/decoder/decoder.h"
#include "model/decoder/window.h"

namespace dbsa::cli {
namespace {

// The narrower of two windows; 0: none.
int64_t narrower(int64_t a, int64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

// Tokens of the span that a row at this position sees through a window; causal: none behind it.
int64_t seen_by_row(const Span& span, int64_t row, int64_t window, bool causal) {
  int64_t last = span.start + span.tokens - 1, first = span.start;
  if (causal) last = std::min(last, row);
  if (window > 0) first = std::max(first, row - window + 1);
  return std::max<int64_t>(0, last - first + 1);
}

// Pairs of a block's rows and what the mask shows them, in a layer with this window.
int64_t encode_pairs(const EncodeBlock& block, int64_t window) {
  int64_t pairs = 0;
  for (const PlacedSegment& segment : block.plan.segments) {
    const Visible& visible = segment.visible;
    const int64_t own = visible.kind == DBSA_SEGMENT_WINDOW ? visible.window : 0;
    for (int64_t row = 0; row < static_cast<int64_t>(block.token_ids.size()); ++row)
      pairs += seen_by_row({segment.start, visible.length}, block.plan.start + row,
                           narrower(window, own), visible.kind != DBSA_SEGMENT_FULL);
  }
  return pairs;
}

std::vector<WindowLayers> windows_of(const ModelSpec& spec) {
  std::map<int64_t, int64_t> layers;
  for (const LayerSpec& layer : spec.layers)
    ++layers[spec.attention_types[static_cast<size_t>(layer.attention)].window];
  std::vector<WindowLayers> windows;
  for (const auto& [window, count] : layers) windows.push_back({window, count, 0});
  return windows;
}

// Operations for one row and one token that it sees in one layer: a score and a weighted sum in
// every head.
double pair_work(const ModelSpec& spec) { return 4 * static_cast<double>(spec.q_width()); }

// Operations of all linear layers for one token, the head aside; of experts those that it gets.
double linear_work(const ModelConfig& model) {
  return 2 * static_cast<double>(multiplied_elements(model));
}

// nullopt where it cannot be opened, for want of its device.
std::optional<host::AttentionBackend> open_backend(Session& session, const Findings& found) {
  const host::ResolvedStage& stage = session.resolved().stage(DBSA_KIND_ATTENTION_BACKEND);
  const Result<host::LoadedPlugin> plugin = session.registry().load(*stage.manifest);
  if (!plugin.ok()) return {};
  Result<host::AttentionBackend> backend =
      host::AttentionBackend::create(*plugin, session.services(), stage.config);
  if (!backend.ok() || !configure_backend(found.model, found.precision, *backend).ok()) return {};
  return std::move(backend).value();
}

// Keys and values of a block as the backend lays them out, padding and scales included; without
// those where there is none.
uint64_t stored_bytes(const Findings& found, const host::AttentionBackend* backend,
                      const EncodeBlock& block) {
  const auto tokens = static_cast<int64_t>(block.token_ids.size());
  if (backend != nullptr)
    if (const auto format = backend->block_format(tokens); format.ok())
      return format->plane_bytes * format->layers;
  const ModelConfig& model = found.model;
  return static_cast<uint64_t>(host::kv_dtype_bytes(found.precision.kv_dtype) * 2 * model.layers *
                               model.kv_heads * model.head_dim * tokens);
}

// Pairs of a request's rows and what they see in a layer with this window.
int64_t request_pairs(const PlacedRequest& placed, const PipelineCost& cost, bool recompute,
                      int64_t window) {
  const int64_t before = recompute ? cost.selected_tokens : 0;
  const Span own = {placed.query_start - before, before + cost.query_tokens};
  int64_t pairs = 0;
  for (int64_t row = own.start; row < own.start + own.tokens; ++row) {
    pairs += seen_by_row(own, row, window, true);
    if (recompute) continue;
    for (const Span& block : placed.blocks) pairs += seen_by_row(block, row, window, false);
  }
  return pairs;
}

void add_request(const Findings& found, const ModelSpec& spec, bool skips_unseen,
                 PipelineCost& cost) {
  const bool recompute = found.settings.recompute;
  const PlacedRequest placed = place_request(found, cost);
  for (const WindowLayers& alike : cost.windows)
    cost.request.attention +=
        pair_work(spec) * static_cast<double>(alike.layers) *
        static_cast<double>(request_pairs(placed, cost, recompute, alike.window));
  const int64_t rows = cost.query_tokens + (recompute ? cost.selected_tokens : 0);
  cost.request.linear = linear_work(found.model) * static_cast<double>(rows) +
                        2 * static_cast<double>(spec.hidden_size * spec.vocab_size);
  if (recompute || cost.tokens == 0) return;
  const double bytes = static_cast<double>(cost.kv_bytes) / static_cast<double>(cost.tokens) /
                       static_cast<double>(spec.layers.size());  // of a token in a layer
  double loaded = 0, all = 0;
  for (const Span& block : placed.blocks) {
    const LayerSet layers =
        layers_reaching(spec, placed.query_start, block.start + block.tokens - 1);
    const auto reached = static_cast<double>(std::count(layers.begin(), layers.end(), true));
    const auto count = static_cast<double>(layers.size());
    loaded += bytes * static_cast<double>(block.tokens) * (skips_unseen ? reached : count);
    all += bytes * static_cast<double>(block.tokens) * count;
  }
  cost.kv_loaded_bytes = static_cast<uint64_t>(std::llround(loaded));
  cost.kv_all_layers_bytes = static_cast<uint64_t>(std::llround(all));
}

}  // namespace

PlacedRequest place_request(const Findings& found, const PipelineCost& cost) {
  // With their places in the pool kept, as if they were spread evenly over it.
  const bool keeps_places = found.settings.selection.positions == Positions::kOriginal;
  PlacedRequest placed;
  placed.query_start = keeps_places ? cost.tokens : cost.selected_tokens;
  const int64_t count = cost.selected_blocks;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * cost.selected_tokens / count;
    const int64_t tokens = (i + 1) * cost.selected_tokens / count - begin;
    placed.blocks.push_back(
        {keeps_places ? (i + 1) * cost.tokens / count - tokens : begin, tokens});
  }
  return placed;
}

PipelineCost pipeline_cost(Session& session, const Findings& found, int64_t query_tokens) {
  PipelineCost cost;
  cost.query_tokens = query_tokens;
  cost.weight_bytes = found.weight_bytes;
  cost.tokens = found.tokens();
  const ModelSpec spec = make_model_spec(found.model);
  cost.windows = windows_of(spec);
  const bool stored = uses_stored_kv(found.settings);
  std::optional<host::AttentionBackend> backend;
  if (stored) backend = open_backend(session, found);
  std::vector<int64_t> lengths;
  for (const EncodeBlock& block : found.pool->blocks) {
    lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
    if (!stored) continue;
    const int64_t shown = encode_pairs(block, 0);
    cost.pairs += shown;
    for (WindowLayers& alike : cost.windows)
      alike.pairs += alike.window == 0 ? shown : encode_pairs(block, alike.window);
  }
  cost.blocks = static_cast<int64_t>(lengths.size());
  if (!lengths.empty()) {
    cost.shortest = *std::min_element(lengths.begin(), lengths.end());
    cost.longest = *std::max_element(lengths.begin(), lengths.end());
  }
  if (stored) {
    cost.dense_pairs = cost.tokens * (cost.tokens + 1) / 2;
    for (const EncodeBlock& block : found.pool->blocks)
      cost.kv_bytes += stored_bytes(found, backend ? &*backend : nullptr, block);
    cost.encode.linear = linear_work(found.model) * static_cast<double>(cost.tokens);
    for (const WindowLayers& alike : cost.windows)
      cost.encode.attention +=
          pair_work(spec) * static_cast<double>(alike.layers) * static_cast<double>(alike.pairs);
  }
  const PoolShape shape = {lengths, found.pool->anchor_blocks, found.pool->pool.has_prefix};
  if (const auto size = selection_size(found.settings.selection, shape); size.ok())
    cost.selected_blocks = *size;
  // Blocks of the pool's mean length stand for those that a query will get.
  if (cost.blocks > 0) cost.selected_tokens = cost.selected_blocks * cost.tokens / cost.blocks;
  if (found.settings.decoding.method == DecodingMethod::kVote) return cost;
  const bool skips_unseen =
      !backend || backend->supports("attention", found.precision.kv_dtype, "skips_unseen");
  add_request(found, spec, skips_unseen, cost);
  return cost;
}

uint64_t needed_store_bytes(Session& session, const Findings& found) {
  const std::optional<host::AttentionBackend> backend = open_backend(session, found);
  std::unordered_set<KvKey, KvKeyHash> counted;
  uint64_t bytes = 0;
  for (const EncodeBlock& block : found.pool->blocks)
    if (counted.insert(block.key).second)
      bytes += stored_bytes(found, backend ? &*backend : nullptr, block);
  return bytes;
}

}  // namespace dbsa::cli
