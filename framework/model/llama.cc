#include "model/llama.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>

#include "model/rope.h"

namespace dbsa {
namespace {

// Of a pass that are computed at once where only some of them are asked for: 64 MiB.
constexpr int64_t kLogits = int64_t{64} * 1024 * 1024 / static_cast<int64_t>(sizeof(float));

}  // namespace

struct Llama::Layer {
  host::Weight attention_norm, feed_forward_norm;
  host::Weight q, k, v, o;
  host::Weight q_bias, k_bias, v_bias, o_bias;  // empty: none
  host::SwiGluWeights mlp;
};

// Grown to the largest pass so far.
struct Llama::Activations {
  int64_t rows = 0;
  int64_t last_rows = 0;
  int64_t logit_rows = 0;
  host::Buffer x, normed, q, k, v, attended;  // [rows, *]
  host::Buffer last_x, last_attended;         // [last_rows, *]
  host::Buffer logits;                        // [logit_rows, vocabulary]
};

Llama::Llama(const Weights& weights, const ModelConfig& config, Precision precision,
             host::AttentionBackend& backend, PackedWeights* packed)
    : weights_(weights),
      config_(config),
      precision_(precision),
      backend_(backend),
      packed_(packed),
      activations_(std::make_unique<Activations>()) {}

Llama::~Llama() = default;

std::string compute_name(Precision precision) {
  if (precision.quantised) return "quantised";
  return precision.compute == DBSA_COMPUTE_BF16 ? "bf16" : "f32";
}

Status configure_backend(const ModelConfig& config, Precision precision,
                         host::AttentionBackend& backend) {
  const std::vector<float> inv_freq = rope_inverse_frequencies(config.rope);
  const double magnitude = rope_attention_factor(config.rope);
  dbsa_attention_shape shape = {};
  shape.struct_size = sizeof shape;
  shape.layers = static_cast<int32_t>(config.layers);
  shape.query_heads = static_cast<int32_t>(config.heads);
  shape.kv_heads = static_cast<int32_t>(config.kv_heads);
  shape.head_dim = static_cast<int32_t>(config.head_dim);
  shape.compute = precision.compute;
  shape.kv_dtype = precision.kv_dtype;
  // The magnitude factor multiplies q and k once each; stored keys stay without it.
  shape.scale =
      static_cast<float>(magnitude * magnitude / std::sqrt(static_cast<double>(config.head_dim)));
  shape.inv_freq = inv_freq.data();
  return backend.configure(shape);
}

Result<std::unique_ptr<Llama>> Llama::load(const Weights& weights, const ModelConfig& config,
                                           Precision precision, host::AttentionBackend& backend,
                                           PackedWeights* packed) {
  DBSA_RETURN_IF_ERROR(configure_backend(config, precision, backend));
  precision.quantised = precision.quantised && !backend.block_types().empty();
  if (packed != nullptr) packed->open(backend, precision.quantised);
  const auto load = [&]() -> Result<std::unique_ptr<Llama>> {
    std::unique_ptr<Llama> model(new Llama(weights, config, precision, backend, packed));
    DBSA_RETURN_IF_ERROR(model->load_weights());
    return model;
  };
  Result<std::unique_ptr<Llama>> loaded = load();
  if (!loaded.ok() && loaded.error().code == ErrorCode::kCorrupt && packed != nullptr) {
    packed->reject(loaded.error().message);
    loaded = load();
  }
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Llama> model, std::move(loaded));
  DBSA_RETURN_IF_ERROR(model->check_unchanged());
  if (packed != nullptr) packed->keep();
  return model;
}

// Weights are read where they lie for as long as the model lives.
Status Llama::check_unchanged() const {
  DBSA_RETURN_IF_ERROR(weights_.check_unchanged());
  return packed_ == nullptr ? Status() : packed_->check_unchanged();
}

Status Llama::load_weights() {
  const TensorDtype decoded = precision_.quantised                      ? TensorDtype::kBlocks
                              : precision_.compute == DBSA_COMPUTE_BF16 ? TensorDtype::kBF16
                                                                        : TensorDtype::kF32;
  const WeightLoader load(weights_, backend_, "", packed_, decoded);
  const int64_t hidden = config_.hidden_size;
  const int64_t inner = config_.intermediate_size;
  const int64_t q_width = config_.heads * config_.head_dim;
  const int64_t kv_width = config_.kv_heads * config_.head_dim;
  DBSA_RETURN_IF_ERROR(
      load.embedding("model.embed_tokens.weight", config_.vocab_size, hidden, embedding_));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    const std::string attention = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";
    Layer& l = layers_.emplace_back();
    DBSA_RETURN_IF_ERROR(load.vector(prefix + "input_layernorm.weight", hidden, l.attention_norm));
    DBSA_RETURN_IF_ERROR(
        load.vector(prefix + "post_attention_layernorm.weight", hidden, l.feed_forward_norm));
    DBSA_RETURN_IF_ERROR(
        load.linear(attention + "q_proj", q_width, hidden, config_.qkv_bias, l.q, l.q_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(attention + "k_proj", kv_width, hidden, config_.qkv_bias, l.k, l.k_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(attention + "v_proj", kv_width, hidden, config_.qkv_bias, l.v, l.v_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(attention + "o_proj", hidden, q_width, config_.output_bias, l.o, l.o_bias));
    DBSA_RETURN_IF_ERROR(load.linear(mlp + "gate_proj", inner, hidden, config_.mlp_bias, l.mlp.gate,
                                     l.mlp.gate_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(mlp + "up_proj", inner, hidden, config_.mlp_bias, l.mlp.up, l.mlp.up_bias));
    DBSA_RETURN_IF_ERROR(load.linear(mlp + "down_proj", hidden, inner, config_.mlp_bias, l.mlp.down,
                                     l.mlp.down_bias));
  }
  DBSA_RETURN_IF_ERROR(load.vector("model.norm.weight", hidden, norm_));
  return load.linear(config_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                     config_.vocab_size, hidden, head_);
}

// last_rows: that are wanted of the last layer; logit_rows: of these, computed at once.
Status Llama::reserve(int64_t rows, int64_t last_rows, int64_t logit_rows) {
  Activations& a = *activations_;
  const int64_t hidden = config_.hidden_size;
  const int64_t q_width = config_.heads * config_.head_dim;
  const int64_t kv_width = config_.kv_heads * config_.head_dim;
  if (rows > a.rows) {
    for (const auto& [buffer, width] : {std::pair{&a.x, hidden},
                                        {&a.normed, hidden},
                                        {&a.q, q_width},
                                        {&a.k, kv_width},
                                        {&a.v, kv_width},
                                        {&a.attended, q_width}}) {
      *buffer = host::Buffer();  // the old one first: peak memory
      DBSA_ASSIGN_OR_RETURN(*buffer, backend_.buffer_create(rows, width));
    }
    a.rows = rows;
  }
  if (last_rows > a.last_rows) {
    for (const auto& [buffer, width] :
         {std::pair{&a.last_x, hidden}, {&a.last_attended, q_width}}) {
      *buffer = host::Buffer();
      DBSA_ASSIGN_OR_RETURN(*buffer, backend_.buffer_create(last_rows, width));
    }
    a.last_rows = last_rows;
  }
  if (logit_rows > a.logit_rows) {
    a.logits = host::Buffer();
    DBSA_ASSIGN_OR_RETURN(a.logits, backend_.buffer_create(logit_rows, config_.vocab_size));
    a.logit_rows = logit_rows;
  }
  return {};
}

Result<host::Plan> Llama::prepare(const ForwardInput& input) {
  std::vector<dbsa_row_range> ranges;
  std::vector<dbsa_segment> segments;
  int64_t row = 0;
  for (const RowRange& range : input.ranges) {
    ranges.push_back({sizeof(dbsa_row_range), row, range.rows,
                      static_cast<int64_t>(segments.size()),
                      static_cast<int64_t>(range.segments.size())});
    segments.insert(segments.end(), range.segments.begin(), range.segments.end());
    row += range.rows;
  }
  dbsa_plan_description plan = {};
  plan.struct_size = sizeof plan;
  plan.rows = row;
  plan.positions = input.positions.data();
  plan.range_count = static_cast<int64_t>(ranges.size());
  plan.ranges = ranges.data();
  plan.segment_count = static_cast<int64_t>(segments.size());
  plan.segments = segments.data();
  return backend_.plan_prepare(plan);
}

// Rows of ranges that stand side by side in one KV object, as the branches of a label tree do, are
// written together.
Status Llama::append_kv(const ForwardInput& input, int32_t layer) {
  int64_t row = 0;
  for (size_t i = 0; i < input.ranges.size();) {
    const RowRange& first = input.ranges[i];
    int64_t rows = 0;
    for (; i < input.ranges.size() && input.ranges[i].kv == first.kv &&
           input.ranges[i].first_token == first.first_token + rows;
         ++i)
      rows += input.ranges[i].rows;
    DBSA_RETURN_IF_ERROR(backend_.kv_append(activations_->k, activations_->v, row, rows, layer,
                                            first.first_token, *first.kv));
    row += rows;
  }
  return {};
}

// x += down(silu(gate(norm(x))) * up(norm(x))), over x = the first `rows` rows of `x`.
Status Llama::feed_forward(const Layer& layer, int64_t rows, host::Buffer& x) {
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.rms_norm(x, rows, layer.feed_forward_norm, epsilon(), a.normed));
  return backend_.swiglu(a.normed, rows, layer.mlp, &x, x);
}

// The layer's keys and values of the rows in x, and its queries, where they are wanted.
Status Llama::write_kv(const ForwardInput& input, int32_t layer, bool queries) {
  Activations& a = *activations_;
  const Layer& l = layers_[static_cast<size_t>(layer)];
  const auto rows = static_cast<int64_t>(input.ids.size());
  DBSA_RETURN_IF_ERROR(backend_.rms_norm(a.x, rows, l.attention_norm, epsilon(), a.normed));
  const host::LinearLayer q = {l.q, l.q_bias, nullptr, a.q}, k = {l.k, l.k_bias, nullptr, a.k},
                          v = {l.v, l.v_bias, nullptr, a.v};
  DBSA_RETURN_IF_ERROR(queries ? backend_.linear(a.normed, rows, {q, k, v})
                               : backend_.linear(a.normed, rows, {k, v}));
  return append_kv(input, layer);
}

// x += o(attended), then the feed-forward half.
Status Llama::finish_layer(const Layer& layer, int64_t rows) {
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.linear(a.attended, rows, {{layer.o, layer.o_bias, &a.x, a.x}}));
  return feed_forward(layer, rows, a.x);
}

Result<std::vector<float>> Llama::hidden_states(const ForwardInput& input, int32_t layers) {
  const auto rows = static_cast<int64_t>(input.ids.size());
  DBSA_RETURN_IF_ERROR(reserve(rows, 0, 0));
  DBSA_ASSIGN_OR_RETURN(const host::Plan plan, prepare(input));
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.embedding(input.ids, embedding_.weight, a.x));
  for (int32_t i = 0; i < layers; ++i) {
    DBSA_RETURN_IF_ERROR(write_kv(input, i, true));
    DBSA_RETURN_IF_ERROR(backend_.attention(plan, i, a.q, a.attended));
    DBSA_RETURN_IF_ERROR(finish_layer(layers_[static_cast<size_t>(i)], rows));
  }
  std::vector<float> states(static_cast<size_t>(rows * config_.hidden_size));
  DBSA_RETURN_IF_ERROR(backend_.download(a.x, 0, rows, states));
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return states;
}

// Leaves the residual stream of the wanted rows in last_x.
Status Llama::compute_layers(const ForwardInput& input, std::span<const int64_t> wanted_rows,
                             int64_t logit_rows, const LayerHook& before_layer,
                             const LayerHook& kv_written) {
  const auto rows = static_cast<int64_t>(input.ids.size());
  const auto wanted = static_cast<int64_t>(wanted_rows.size());
  DBSA_RETURN_IF_ERROR(reserve(rows, wanted, logit_rows));
  DBSA_ASSIGN_OR_RETURN(const host::Plan plan, prepare(input));
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.embedding(input.ids, embedding_.weight, a.x));
  for (int32_t i = 0; i < static_cast<int32_t>(layers_.size()); ++i) {
    const Layer& l = layers_[static_cast<size_t>(i)];
    const bool last = i + 1 == static_cast<int32_t>(layers_.size());
    const bool kv_alone = last && wanted == 0;  // nothing reads further
    if (before_layer) DBSA_RETURN_IF_ERROR(before_layer(i));
    DBSA_RETURN_IF_ERROR(write_kv(input, i, !kv_alone));
    if (kv_written) DBSA_RETURN_IF_ERROR(kv_written(i));
    if (kv_alone) break;
    DBSA_RETURN_IF_ERROR(backend_.attention(plan, i, a.q, a.attended));
    if (!last) {
      DBSA_RETURN_IF_ERROR(finish_layer(l, rows));
      continue;
    }
    // After the last attention only the wanted rows matter.
    DBSA_RETURN_IF_ERROR(backend_.gather_rows(a.x, wanted_rows, a.last_x));
    DBSA_RETURN_IF_ERROR(backend_.gather_rows(a.attended, wanted_rows, a.last_attended));
    DBSA_RETURN_IF_ERROR(
        backend_.linear(a.last_attended, wanted, {{l.o, l.o_bias, &a.last_x, a.last_x}}));
    DBSA_RETURN_IF_ERROR(feed_forward(l, wanted, a.last_x));
  }
  return wanted == 0 ? backend_.sync() : Status();
}

// Of the first `rows` rows of x.
Status Llama::compute_logits(const host::Buffer& x, int64_t rows) {
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.rms_norm(x, rows, norm_, epsilon(), a.normed));
  return backend_.linear(a.normed, rows, {{head_, host::Weight(), nullptr, a.logits}});
}

Result<std::vector<float>> Llama::forward(const ForwardInput& input,
                                          std::span<const int64_t> logit_rows,
                                          const LayerHook& before_layer,
                                          const LayerHook& kv_written) {
  const auto wanted = static_cast<int64_t>(logit_rows.size());
  DBSA_RETURN_IF_ERROR(compute_layers(input, logit_rows, wanted, before_layer, kv_written));
  std::vector<float> logits(static_cast<size_t>(wanted * config_.vocab_size));
  if (wanted > 0) {
    DBSA_RETURN_IF_ERROR(compute_logits(activations_->last_x, wanted));
    DBSA_RETURN_IF_ERROR(backend_.download(activations_->logits, 0, wanted, logits));
  }
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return logits;
}

Result<std::vector<host::TokenScores>> Llama::score(const ForwardInput& input,
                                                    std::span<const ScoreAsk> asks,
                                                    const LayerHook& before_layer) {
  std::vector<int64_t> rows;
  std::vector<std::span<const int32_t>> tokens;
  for (const ScoreAsk& ask : asks) {
    rows.push_back(ask.row);
    tokens.push_back(ask.tokens);
  }
  const auto wanted = static_cast<int64_t>(rows.size());
  const int64_t at_once = std::min(wanted, std::max<int64_t>(1, kLogits / config_.vocab_size));
  DBSA_RETURN_IF_ERROR(compute_layers(input, rows, at_once, before_layer, nullptr));
  Activations& a = *activations_;
  std::vector<host::TokenScores> scores;
  for (int64_t first = 0; first < wanted; first += at_once) {
    const int64_t count = std::min(at_once, wanted - first);
    if (first == 0) {
      DBSA_RETURN_IF_ERROR(compute_logits(a.last_x, count));
    } else {
      std::vector<int64_t> next(static_cast<size_t>(count));
      std::iota(next.begin(), next.end(), first);
      DBSA_RETURN_IF_ERROR(backend_.gather_rows(a.last_x, next, a.x));
      DBSA_RETURN_IF_ERROR(compute_logits(a.x, count));
    }
    DBSA_ASSIGN_OR_RETURN(
        std::vector<host::TokenScores> some,
        backend_.log_softmax(a.logits, std::span(tokens).subspan(static_cast<size_t>(first),
                                                                 static_cast<size_t>(count))));
    std::move(some.begin(), some.end(), std::back_inserter(scores));
  }
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return scores;
}

}  // namespace dbsa
