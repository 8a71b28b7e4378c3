#include "commands/explain_time.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <utility>

#include "config/stopwatch.h"
#include "host/make_plugin.h"
#include "icl/best_first_walk.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_spec.h"
#include "model/open_model.h"
#include "pipeline/encode/block_planes.h"

namespace dbsa::cli {
namespace {

// Layers that stand for all: of each kind one at least, and so many bytes of weights that they do
// not stay in a processor's caches, as those of the whole model do not.
int64_t enough_layers(const ModelConfig& model, uint64_t weight_bytes) {
  constexpr uint64_t kBytes = uint64_t{64} << 20;
  const ModelSpec spec = make_model_spec(model);
  std::set<std::pair<int64_t, bool>> kinds;
  int64_t until = 0;  // with the first of each kind
  for (const LayerSpec& layer : spec.layers) {
    const bool fresh = kinds.insert({layer.attention, layer.experts}).second;
    const auto index = static_cast<int64_t>(&layer - spec.layers.data());
    if (fresh) until = index + 1;
  }
  const uint64_t a_layer =
      std::max<uint64_t>(1, weight_bytes / static_cast<uint64_t>(model.layers));
  const auto by_bytes = static_cast<int64_t>((kBytes + a_layer - 1) / a_layer);
  return std::min(model.layers, std::max(until, by_bytes));
}

ModelConfig first_layers(ModelConfig model, int64_t layers) {
  model.layers = layers;
  for (std::vector<bool>* each :
       {&model.window_layers, &model.unrotated_layers, &model.expert_layers})
    if (!each->empty()) each->resize(static_cast<size_t>(layers));
  return model;
}

// The least of a few runs, as other work on the machine only adds to them; a first one, in which
// kernels are made, does not count unless it takes long.
Result<double> least_seconds(const std::function<Status()>& pass, double& measured) {
  constexpr int kRuns = 3;
  constexpr double kLong = 0.5;
  double least = 0;
  for (int run = 0; run <= kRuns; ++run) {
    const Stopwatch watch;
    DBSA_RETURN_IF_ERROR(pass());
    const double seconds = watch.seconds();
    measured += seconds;
    if (run <= 1 || seconds < least) least = seconds;
    if (seconds > kLong) break;
  }
  return least;
}

// Passes over rows that see stored blocks.
class Probe {
 public:
  Probe(host::AttentionBackend& backend, Decoder& model, const Tokenizer& tokenizer)
      : backend_(backend), model_(model), id_(tokenizer.vocab_size() / 2) {
    id_ = static_cast<int32_t>(std::min<int64_t>(id_, model.config().vocab_size - 1));
  }

  // A block of so many tokens, as the store would give it.
  Result<const host::Kv*> add_block(int64_t tokens) {
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, backend_.block_format(tokens));
    BlockPlanes& planes = planes_.emplace_back();
    DBSA_RETURN_IF_ERROR(planes.reserve(format));
    for (uint32_t layer = 0; layer < format.layers; ++layer)
      std::memset(planes.plane(layer), 0, format.plane_bytes);
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.block_import(format, planes.all().data()));
    return &blocks_.emplace_back(std::move(kv));
  }

  // Rows first.. of a separate text at position start, which see the segments and the rows before
  // them.
  Status add_rows(int64_t first, int64_t rows, int64_t start, std::vector<dbsa_segment> segments) {
    DBSA_ASSIGN_OR_RETURN(host::Kv made, backend_.kv_create(first + rows));
    host::Kv& own = live_.emplace_back(std::move(made));
    segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, own.get(), 0, first + rows, start, 0});
    for (int64_t i = first; i < first + rows; ++i) {
      input_.ids.push_back(id_);
      input_.positions.push_back(static_cast<int32_t>(start + i));
    }
    input_.ranges.push_back({rows, &own, first, std::move(segments)});
    return {};
  }
  void drop_rows() {
    input_ = {};
    live_.clear();
  }

  // Seconds of one whole layer, for the rows that are there.
  Result<double> layer_seconds() {
    const int64_t own = model_.config().layers;
    const auto pass = [&]() -> Status {
      const auto states = model_.hidden_states(input_, static_cast<int32_t>(own));
      return states.ok() ? Status() : Status(states.error());
    };
    DBSA_ASSIGN_OR_RETURN(const double seconds, least_seconds(pass, measured_));
    return seconds / static_cast<double>(own);
  }

  // Seconds of a pass of the model if it had `layers` layers: one that ends with the last keys and
  // values, as encoding does, or with scores behind the last `asked` rows of each range.
  Result<double> pass_seconds(int64_t layers, int64_t asked) {
    std::vector<ScoreAsk> asks;
    int64_t end = 0;
    for (const RowRange& range : input_.ranges) {
      end += range.rows;
      for (int64_t row = end - std::min(asked, range.rows); row < end; ++row)
        asks.push_back({row, {&id_, 1}});
    }
    const auto pass = [&]() -> Status {
      if (asks.empty()) {
        const auto done = model_.forward(input_, {});
        return done.ok() ? Status() : Status(done.error());
      }
      const auto scores = model_.score(input_, asks);
      return scores.ok() ? Status() : Status(scores.error());
    };
    DBSA_ASSIGN_OR_RETURN(double seconds, least_seconds(pass, measured_));
    if (layers == model_.config().layers) return seconds;
    DBSA_ASSIGN_OR_RETURN(const double layer, layer_seconds());
    return seconds + layer * static_cast<double>(layers - model_.config().layers);
  }

  double measured() const { return measured_; }

 private:
  host::AttentionBackend& backend_;
  Decoder& model_;
  int32_t id_;  // of every row
  std::deque<BlockPlanes> planes_;
  std::deque<host::Kv> blocks_, live_;
  ForwardInput input_;
  double measured_ = 0;
};

dbsa_segment whole(const host::Kv& block, int64_t tokens, int64_t start) {
  return {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, block.get(), 0, tokens, start, 0};
}

// Rows of which a pass takes about a tenth of a second, at most `most`. Adds rows by `add`.
Result<int64_t> handy_rows(Probe& probe, int64_t most,
                           const std::function<Status(int64_t rows)>& add) {
  constexpr int64_t kFew = 32;
  constexpr double kSeconds = 0.1;
  if (most <= kFew) return most;
  DBSA_RETURN_IF_ERROR(add(kFew));
  DBSA_ASSIGN_OR_RETURN(const double few, probe.layer_seconds());
  probe.drop_rows();
  const double rows = kFew * kSeconds / std::max(few, 1e-9);
  return std::clamp(static_cast<int64_t>(std::min(rows, 1e6)), kFew, most);
}

// Rows of a block from the middle of the pool, of which others are typical: blocks before it see
// less, those behind it more.
Result<double> encode_seconds(const Findings& found, const PipelineCost& cost, Probe& probe) {
  const std::vector<EncodeBlock>& blocks = found.pool->blocks;
  const EncodeBlock& block = blocks[blocks.size() / 2];
  const auto tokens = static_cast<int64_t>(block.token_ids.size());
  std::vector<dbsa_segment> seen;
  for (const PlacedSegment& placed : block.plan.segments) {
    const Visible& visible = placed.visible;
    if (visible.block == static_cast<int64_t>(blocks.size() / 2)) continue;
    DBSA_ASSIGN_OR_RETURN(const host::Kv* kv, probe.add_block(visible.length));
    seen.push_back({sizeof(dbsa_segment), visible.kind, kv->get(), 0, visible.length, placed.start,
                    visible.window});
  }
  const auto add = [&](int64_t rows) {
    return probe.add_rows((tokens - rows) / 2, rows, block.plan.start, seen);
  };
  const int64_t most = std::min(tokens, found.settings.model.chunk_tokens);
  DBSA_ASSIGN_OR_RETURN(const int64_t rows, handy_rows(probe, most, add));
  // Short blocks are computed several at a time.
  const int64_t together =
      rows < tokens ? 1 : std::max<int64_t>(1, found.settings.model.chunk_tokens / tokens);
  for (int64_t i = 0; i < together; ++i) DBSA_RETURN_IF_ERROR(add(rows));
  DBSA_ASSIGN_OR_RETURN(const double seconds, probe.pass_seconds(found.model.layers, 0));
  probe.drop_rows();
  return seconds / static_cast<double>(rows * together) * static_cast<double>(cost.tokens);
}

// Rows that follow a query's own, pass by pass; the first are computed with them.
struct AnswerRows {
  int64_t first = 0;
  std::vector<std::pair<int64_t, int64_t>> passes;  // rows, and how many such passes
};

AnswerRows answer_rows(const Findings& found) {
  AnswerRows rows;
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : found.pool->pool.labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  switch (found.settings.decoding.method) {
    case DecodingMethod::kLikelihood:
      rows.first = static_cast<int64_t>(LikelihoodTree(tokens).rows().size());
      break;
    case DecodingMethod::kFree:
      rows.passes.emplace_back(1, found.settings.decoding.max_tokens);
      break;
    case DecodingMethod::kTrie:
    case DecodingMethod::kGreedyTrie: {
      const auto trie = LabelTrie::build(tokens, names);
      if (!trie.ok()) break;
      const bool greedy = found.settings.decoding.method == DecodingMethod::kGreedyTrie;
      if (greedy)
        rows.passes.emplace_back(1, 2);  // the label and its runner-up part at two nodes or so
      else if (trie->inner_count() > BestFirstWalk::kFirstTokens)
        rows.passes.emplace_back(BestFirstWalk::kFirstTokens / 2, 1);  // a walk fills it seldom
      else
        rows.first = trie->inner_count();
      break;
    }
    case DecodingMethod::kVote:
      break;
  }
  return rows;
}

Result<double> request_seconds(const Findings& found, const PipelineCost& cost, Probe& probe) {
  constexpr int64_t kAutomaticBatch = 8;
  const bool recompute = found.settings.recompute;
  const PlacedRequest placed = place_request(found, cost);
  std::vector<dbsa_segment> seen;
  for (const Span& block : recompute ? std::vector<Span>() : placed.blocks) {
    if (block.tokens == 0) continue;
    DBSA_ASSIGN_OR_RETURN(const host::Kv* kv, probe.add_block(block.tokens));
    seen.push_back(whole(*kv, block.tokens, block.start));
  }
  const AnswerRows answer = answer_rows(found);
  const int64_t before = recompute ? cost.selected_tokens : 0;
  const int64_t start = placed.query_start - before;
  const int64_t all = before + std::max<int64_t>(1, cost.query_tokens) + answer.first;
  const int64_t asked = found.settings.model.batch_size;
  const int64_t together = recompute ? 1 : asked > 0 ? asked : kAutomaticBatch;
  const auto add = [&](int64_t rows) {
    return probe.add_rows((all - rows) / 2, rows, start, seen);
  };
  const auto seconds_of = [&](int64_t rows, int64_t scored) -> Result<double> {
    for (int64_t i = 0; i < together; ++i) DBSA_RETURN_IF_ERROR(add(rows));
    DBSA_ASSIGN_OR_RETURN(const double seconds, probe.pass_seconds(found.model.layers, scored));
    probe.drop_rows();
    return seconds / static_cast<double>(together);
  };
  DBSA_ASSIGN_OR_RETURN(const int64_t rows, handy_rows(probe, all, add));
  DBSA_ASSIGN_OR_RETURN(double seconds, seconds_of(rows, 1 + answer.first));
  seconds *= static_cast<double>(all) / static_cast<double>(rows);
  for (const auto& [width, passes] : answer.passes) {
    DBSA_ASSIGN_OR_RETURN(const double pass, seconds_of(std::min(width, all), width));
    seconds += pass * static_cast<double>(passes);
  }
  return seconds;
}

}  // namespace

Result<PipelineTime> measure_time(Session& session, const Findings& found,
                                  const PipelineCost& cost) {
  PipelineTime time;
  const bool votes = found.settings.decoding.method == DecodingMethod::kVote;
  const bool encodes = uses_stored_kv(found.settings) && cost.blocks > 0;
  if (votes && !encodes) return time;
  DBSA_ASSIGN_OR_RETURN(const auto source, open_model(found.settings.model.path));
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Weights> weights, source->weights());
  DBSA_ASSIGN_OR_RETURN(auto backend, host::make_plugin<host::AttentionBackend>(
                                          session.resolved(), DBSA_KIND_ATTENTION_BACKEND,
                                          session.registry(), session.services()));
  time.measured_layers = enough_layers(found.model, found.weight_bytes);
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Decoder> model,
                        Decoder::load(*weights, first_layers(found.model, time.measured_layers),
                                      choose_precision(found.settings.model, *weights), backend));
  Probe probe(backend, *model, *found.tokenizer);
  if (encodes) {
    DBSA_ASSIGN_OR_RETURN(time.encode_seconds, encode_seconds(found, cost, probe));
  }
  if (!votes && (cost.query_tokens > 0 || cost.selected_blocks > 0)) {
    DBSA_ASSIGN_OR_RETURN(time.request_seconds, request_seconds(found, cost, probe));
  }
  time.measured_seconds = probe.measured();
  return time;
}

}  // namespace dbsa::cli
