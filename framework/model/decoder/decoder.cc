#include "model/decoder/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "model/decoder/backend_types.h"
#include "model/decoder/decoder_state.h"

namespace dbsa {
namespace {

// A segment as the rows of a layer with a window see it.
dbsa_segment through_window(dbsa_segment segment, int64_t window) {
  if (window == 0) return segment;
  if (segment.kind == DBSA_SEGMENT_CAUSAL) segment.kind = DBSA_SEGMENT_WINDOW;
  segment.window = segment.window == 0 ? window : std::min(segment.window, window);
  return segment;
}

// Of Gemma: as the type that its embedding is stored in holds it, as in transformers. Blocks have
// none, no matter what they are decoded to: float32, as in llama.cpp.
float rounded_multiplier(double multiplier, const TensorView& embedding) {
  const auto value = static_cast<float>(multiplier);
  if (embedding.dtype == TensorDtype::kF32 || embedding.block_type != 0) return value;
  // 8 bits of a fraction in bfloat16, 11 in float16, ties to even.
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);
  const int bits = embedding.dtype == TensorDtype::kBF16 ? 8 : 11;
  return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
}

}  // namespace

Decoder::Decoder(const Weights& weights, const ModelConfig& config, Precision precision,
                 host::AttentionBackend& backend, PackedWeights* packed)
    : weights_(weights),
      config_(config),
      spec_(make_model_spec(config)),
      precision_(precision),
      backend_(backend),
      packed_(packed),
      skips_unseen_(backend.supports("attention", precision.kv_dtype, "skips_unseen")),
      activations_(std::make_unique<Activations>()) {}

Decoder::~Decoder() = default;

std::string compute_name(Precision precision) {
  if (precision.quantised) return "quantised";
  return precision.compute == DBSA_COMPUTE_BF16 ? "bf16" : "f32";
}

Result<std::unique_ptr<Decoder>> Decoder::load(const Weights& weights, const ModelConfig& config,
                                               Precision precision, host::AttentionBackend& backend,
                                               PackedWeights* packed) {
  DBSA_RETURN_IF_ERROR(configure_backend(config, precision, backend));
  precision.quantised = precision.quantised && !backend.block_types().empty();
  if (packed != nullptr) packed->open(backend, precision.quantised);
  const auto load = [&]() -> Result<std::unique_ptr<Decoder>> {
    std::unique_ptr<Decoder> model(new Decoder(weights, config, precision, backend, packed));
    DBSA_RETURN_IF_ERROR(model->load_weights());
    return model;
  };
  Result<std::unique_ptr<Decoder>> loaded = load();
  if (!loaded.ok() && loaded.error().code == ErrorCode::kCorrupt && packed != nullptr) {
    packed->reject(loaded.error().message);
    loaded = load();
  }
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> model, std::move(loaded));
  DBSA_RETURN_IF_ERROR(model->check_unchanged());
  if (packed != nullptr) packed->keep();
  return model;
}

LayerSet Decoder::layers_reading(int64_t first_row, int64_t last_token) const {
  if (!skips_unseen_) return LayerSet(spec_.layers.size(), true);
  return layers_reaching(spec_, first_row, last_token);
}

// Weights are read where they lie for as long as the model lives.
Status Decoder::check_unchanged() const {
  DBSA_RETURN_IF_ERROR(weights_.check_unchanged());
  return packed_ == nullptr ? Status() : packed_->check_unchanged();
}

// last_rows: that are wanted of the last layer.
Status Decoder::reserve(int64_t rows, int64_t last_rows) {
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
    if (changes_outputs_) {
      a.branch = host::Buffer();
      DBSA_ASSIGN_OR_RETURN(a.branch, backend_.buffer_create(rows, hidden));
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
  return {};
}

// A plan for each attention type.
Result<std::vector<host::Plan>> Decoder::prepare(const ForwardInput& input) {
  const std::vector<int32_t> type_of = backend_types(spec_);
  std::vector<host::Plan> plans;
  for (size_t i = 0; i < spec_.attention_types.size(); ++i) {
    const int64_t window = spec_.attention_types[i].window;
    std::vector<dbsa_row_range> ranges;
    std::vector<dbsa_segment> segments;
    int64_t row = 0;
    for (const RowRange& range : input.ranges) {
      ranges.push_back({sizeof(dbsa_row_range), row, range.rows,
                        static_cast<int64_t>(segments.size()),
                        static_cast<int64_t>(range.segments.size())});
      for (const dbsa_segment& segment : range.segments)
        segments.push_back(through_window(segment, window));
      row += range.rows;
    }
    dbsa_plan_description plan = {};
    plan.struct_size = sizeof plan;
    plan.type = type_of[i];
    plan.rows = row;
    plan.positions = input.positions.data();
    plan.range_count = static_cast<int64_t>(ranges.size());
    plan.ranges = ranges.data();
    plan.segment_count = static_cast<int64_t>(segments.size());
    plan.segments = segments.data();
    DBSA_ASSIGN_OR_RETURN(plans.emplace_back(), backend_.plan_prepare(plan));
  }
  return plans;
}

// Rows of ranges that stand side by side in one KV object, as the branches of a label tree do, are
// written together.
Status Decoder::append_kv(const ForwardInput& input, int32_t layer) {
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

// x = embedding(ids) * embedding_multiplier
Status Decoder::embed(const ForwardInput& input) {
  const auto rows = static_cast<int64_t>(input.ids.size());
  host::Buffer& x = activations_->x;
  DBSA_RETURN_IF_ERROR(backend_.embedding(input.ids, embedding_.weight, x));
  const float multiplier =
      spec_.rounds_embedding_multiplier
          ? rounded_multiplier(spec_.embedding_multiplier, embedding_.data.view)
          : static_cast<float>(spec_.embedding_multiplier);
  return multiplier == 1 ? Status() : backend_.scale(x, rows, multiplier, 0, x);
}

// x += norm(branch)? * residual_multiplier
Status Decoder::add_branch(const host::Weight& norm, int64_t rows, host::Buffer& x) {
  host::Buffer& branch = activations_->branch;
  if (norm) DBSA_RETURN_IF_ERROR(backend_.rms_norm(branch, rows, norm, epsilon(), branch));
  return backend_.add(x, rows, branch, static_cast<float>(spec_.residual_multiplier), x);
}

// x += linear(attended), over the first `rows` rows of both.
Status Decoder::add_attention(const Layer& l, int64_t rows, const host::Buffer& attended,
                              host::Buffer& x) {
  if (!changes_outputs_) return backend_.linear(attended, rows, {{l.o, l.o_bias, &x, x}});
  DBSA_RETURN_IF_ERROR(
      backend_.linear(attended, rows, {{l.o, l.o_bias, nullptr, activations_->branch}}));
  return add_branch(l.attention_output_norm, rows, x);
}

// out = mlp(from) (+ residual)
Status Decoder::mlp(const Layer& l, const host::Buffer& from, int64_t rows,
                    const host::Buffer* residual, host::Buffer& out) {
  return l.experts.router ? backend_.experts(from, rows, l.experts, residual, out)
                          : backend_.gated_mlp(from, rows, l.mlp, residual, out);
}

// x += mlp(norm(x)?), over the first `rows` rows of x.
Status Decoder::feed_forward(const Layer& l, int64_t rows, host::Buffer& x) {
  Activations& a = *activations_;
  if (l.mlp_norm) DBSA_RETURN_IF_ERROR(backend_.rms_norm(x, rows, l.mlp_norm, epsilon(), a.normed));
  const host::Buffer& from = l.mlp_norm ? a.normed : x;
  if (!changes_outputs_) return mlp(l, from, rows, &x, x);
  DBSA_RETURN_IF_ERROR(mlp(l, from, rows, nullptr, a.branch));
  return add_branch(l.mlp_output_norm, rows, x);
}

// The layer's keys and values of the rows in x, and its queries, where they are wanted.
Status Decoder::write_kv(const ForwardInput& input, int32_t layer, bool queries) {
  Activations& a = *activations_;
  const Layer& l = layers_[static_cast<size_t>(layer)];
  const auto rows = static_cast<int64_t>(input.ids.size());
  if (l.attention_norm)
    DBSA_RETURN_IF_ERROR(backend_.rms_norm(a.x, rows, l.attention_norm, epsilon(), a.normed));
  const host::Buffer& from = l.attention_norm ? a.normed : a.x;
  const host::LinearLayer q = {l.q, l.q_bias, nullptr, a.q}, k = {l.k, l.k_bias, nullptr, a.k},
                          v = {l.v, l.v_bias, nullptr, a.v};
  DBSA_RETURN_IF_ERROR(queries ? backend_.linear(from, rows, {q, k, v})
                               : backend_.linear(from, rows, {k, v}));
  if (l.k_norm) DBSA_RETURN_IF_ERROR(backend_.rms_norm(a.k, rows, l.k_norm, epsilon(), a.k));
  if (l.q_norm && queries)
    DBSA_RETURN_IF_ERROR(backend_.rms_norm(a.q, rows, l.q_norm, epsilon(), a.q));
  return append_kv(input, layer);
}

Status Decoder::attend(const std::vector<host::Plan>& plans, int32_t layer) {
  Activations& a = *activations_;
  const int64_t type = spec_.layers[static_cast<size_t>(layer)].attention;
  return backend_.attention(plans[static_cast<size_t>(type)], layer, a.q, a.attended);
}

Result<std::vector<float>> Decoder::hidden_states(const ForwardInput& input, int32_t layers) {
  const auto rows = static_cast<int64_t>(input.ids.size());
  DBSA_RETURN_IF_ERROR(reserve(rows, 0));
  DBSA_ASSIGN_OR_RETURN(const std::vector<host::Plan> plans, prepare(input));
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(embed(input));
  for (int32_t i = 0; i < layers; ++i) {
    const Layer& l = layers_[static_cast<size_t>(i)];
    DBSA_RETURN_IF_ERROR(write_kv(input, i, true));
    DBSA_RETURN_IF_ERROR(attend(plans, i));
    DBSA_RETURN_IF_ERROR(add_attention(l, rows, a.attended, a.x));
    DBSA_RETURN_IF_ERROR(feed_forward(l, rows, a.x));
  }
  std::vector<float> states(static_cast<size_t>(rows * config_.hidden_size));
  DBSA_RETURN_IF_ERROR(backend_.download(a.x, 0, rows, states));
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return states;
}

// Leaves the residual stream of the wanted rows in last_x.
Status Decoder::compute_layers(const ForwardInput& input, std::span<const int64_t> wanted_rows,
                               const LayerHook& before_layer, const LayerHook& kv_written) {
  const auto rows = static_cast<int64_t>(input.ids.size());
  const auto wanted = static_cast<int64_t>(wanted_rows.size());
  DBSA_RETURN_IF_ERROR(reserve(rows, wanted));
  DBSA_ASSIGN_OR_RETURN(const std::vector<host::Plan> plans, prepare(input));
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(embed(input));
  for (int32_t i = 0; i < static_cast<int32_t>(layers_.size()); ++i) {
    const Layer& l = layers_[static_cast<size_t>(i)];
    const bool last = i + 1 == static_cast<int32_t>(layers_.size());
    const bool kv_alone = last && wanted == 0;  // nothing reads further
    if (before_layer) DBSA_RETURN_IF_ERROR(before_layer(i));
    DBSA_RETURN_IF_ERROR(write_kv(input, i, !kv_alone));
    if (kv_written) DBSA_RETURN_IF_ERROR(kv_written(i));
    if (kv_alone) break;
    DBSA_RETURN_IF_ERROR(attend(plans, i));
    if (!last) {
      DBSA_RETURN_IF_ERROR(add_attention(l, rows, a.attended, a.x));
      DBSA_RETURN_IF_ERROR(feed_forward(l, rows, a.x));
      continue;
    }
    // After the last attention only the wanted rows matter.
    DBSA_RETURN_IF_ERROR(backend_.gather_rows(a.x, wanted_rows, a.last_x));
    DBSA_RETURN_IF_ERROR(backend_.gather_rows(a.attended, wanted_rows, a.last_attended));
    DBSA_RETURN_IF_ERROR(add_attention(l, wanted, a.last_attended, a.last_x));
    DBSA_RETURN_IF_ERROR(feed_forward(l, wanted, a.last_x));
  }
  return wanted == 0 ? backend_.sync() : Status();
}

// last_x = norm(last_x), its first `rows` rows.
Status Decoder::norm_last(int64_t rows) {
  return backend_.rms_norm(activations_->last_x, rows, norm_, epsilon(), activations_->last_x);
}

// Of the first `rows` rows of last_x.
Result<std::vector<float>> Decoder::compute_logits(int64_t rows) {
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(norm_last(rows));
  if (rows > a.logit_rows) {
    a.logits = host::Buffer();
    DBSA_ASSIGN_OR_RETURN(a.logits, backend_.buffer_create(rows, config_.vocab_size));
    a.logit_rows = rows;
  }
  DBSA_RETURN_IF_ERROR(
      backend_.linear(a.last_x, rows, {{head_, host::Weight(), nullptr, a.logits}}));
  if (logit_factor() != 1 || logit_soft_cap() != 0)
    DBSA_RETURN_IF_ERROR(
        backend_.scale(a.logits, rows, logit_factor(), logit_soft_cap(), a.logits));
  std::vector<float> logits(static_cast<size_t>(rows * config_.vocab_size));
  DBSA_RETURN_IF_ERROR(backend_.download(a.logits, 0, rows, logits));
  return logits;
}

Result<std::vector<float>> Decoder::forward(const ForwardInput& input,
                                            std::span<const int64_t> logit_rows,
                                            const LayerHook& before_layer,
                                            const LayerHook& kv_written) {
  DBSA_RETURN_IF_ERROR(compute_layers(input, logit_rows, before_layer, kv_written));
  std::vector<float> logits;
  if (!logit_rows.empty()) {
    DBSA_ASSIGN_OR_RETURN(logits, compute_logits(static_cast<int64_t>(logit_rows.size())));
  }
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return logits;
}

Result<std::vector<host::TokenScores>> Decoder::score(const ForwardInput& input,
                                                      std::span<const ScoreAsk> asks,
                                                      const LayerHook& before_layer) {
  std::vector<int64_t> rows;
  std::vector<std::span<const int32_t>> tokens;
  for (const ScoreAsk& ask : asks) {
    rows.push_back(ask.row);
    tokens.push_back(ask.tokens);
  }
  const auto wanted = static_cast<int64_t>(rows.size());
  DBSA_RETURN_IF_ERROR(compute_layers(input, rows, before_layer, nullptr));
  std::vector<host::TokenScores> scores;
  if (wanted > 0) {
    DBSA_RETURN_IF_ERROR(norm_last(wanted));
    DBSA_ASSIGN_OR_RETURN(scores, backend_.score_tokens(activations_->last_x, head_, logit_factor(),
                                                        logit_soft_cap(), tokens));
  }
  DBSA_RETURN_IF_ERROR(check_unchanged());
  return scores;
}

}  // namespace dbsa
