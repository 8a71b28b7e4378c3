#include "model/sentence/bert.h"

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <utility>

namespace dbsa {

struct Bert::Layer {
  host::Weight q, k, v, o, up, down;
  host::Weight q_bias, k_bias, v_bias, o_bias, up_bias, down_bias;
  host::Weight attention_norm, attention_norm_bias, norm, norm_bias;
};

// Grown to the largest pass so far, [rows, *].
struct Bert::Activations {
  int64_t rows = 0;
  host::Buffer x, sum, q, k, v, attended, wide;
};

// Keys and values of one layer, a KV object for each text: overwritten layer by layer.
struct Bert::Pass {
  int64_t rows = 0;
  std::vector<host::Kv> texts;
  host::Plan plan;
};

Bert::Bert(const Checkpoint& checkpoint, const BertConfig& config, host::AttentionBackend& backend)
    : checkpoint_(checkpoint),
      config_(config),
      backend_(backend),
      activations_(std::make_unique<Activations>()) {}

Bert::~Bert() = default;

namespace {

std::string layer_prefix(int64_t layer) { return "encoder.layer." + std::to_string(layer) + "."; }

// Every weight that the forward pass reads, without prefix.
std::set<std::string> known_tensors(const BertConfig& config) {
  std::set<std::string> out;
  const auto pair = [&](const std::string& name) {
    out.insert(name + ".weight");
    out.insert(name + ".bias");
  };
  for (const char* table : {"word_embeddings", "position_embeddings", "token_type_embeddings"})
    out.insert(std::string("embeddings.") + table + ".weight");
  pair("embeddings.LayerNorm");
  for (int64_t i = 0; i < config.layers; ++i) {
    for (const char* part : {"attention.self.query", "attention.self.key", "attention.self.value",
                             "attention.output.dense", "attention.output.LayerNorm",
                             "intermediate.dense", "output.dense", "output.LayerNorm"})
      pair(layer_prefix(i) + part);
  }
  return out;
}

// An unknown tensor might change the result.
Status check_names(const Checkpoint& checkpoint, const BertConfig& config,
                   const std::string& prefix) {
  const std::set<std::string> known = known_tensors(config);
  for (const SafetensorsFile& file : checkpoint.files()) {
    for (const TensorEntry& entry : file.entries()) {
      if (!prefix.empty() && entry.name.starts_with("cls.")) continue;
      if (entry.name.starts_with(prefix)) {
        const std::string name = entry.name.substr(prefix.size());
        if (known.contains(name) || name == "embeddings.position_ids" ||
            name.starts_with("pooler."))
          continue;
      }
      return Error{ErrorCode::kConfig,
                   file.path() + ": tensor '" + entry.name +
                       "' does not belong to a BERT encoder of this config.json; the model is of " +
                       "a kind that is not supported or the two do not fit together",
                   {}};
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Bert>> Bert::load(const Checkpoint& checkpoint, const BertConfig& config,
                                         host::AttentionBackend& backend) {
  const std::string prefix =
      checkpoint.contains("bert.embeddings.word_embeddings.weight") ? "bert." : "";
  const int64_t head_dim = config.hidden_size / config.heads;
  const std::vector<float> no_rotation(static_cast<size_t>(head_dim / 2), 0.0f);
  dbsa_attention_shape shape = {};
  shape.struct_size = sizeof shape;
  shape.layers = 1;  // no layer reads another's keys
  shape.query_heads = static_cast<int32_t>(config.heads);
  shape.kv_heads = shape.query_heads;
  shape.head_dim = static_cast<int32_t>(head_dim);
  shape.compute = DBSA_COMPUTE_F32;
  shape.kv_dtype = DBSA_KV_DTYPE_F32;
  dbsa_attention_type type = {};
  type.struct_size = sizeof type;
  type.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  type.inv_freq = no_rotation.data();
  shape.type_count = 1;
  shape.types = &type;
  DBSA_RETURN_IF_ERROR(backend.configure(shape));
  std::unique_ptr<Bert> model(new Bert(checkpoint, config, backend));
  DBSA_RETURN_IF_ERROR(model->load_weights(prefix));
  DBSA_RETURN_IF_ERROR(check_names(checkpoint, config, prefix));
  DBSA_RETURN_IF_ERROR(model->read_positions(prefix));
  return model;
}

Status Bert::load_weights(const std::string& prefix) {
  const WeightLoader load(checkpoint_, backend_, prefix);
  const int64_t hidden = config_.hidden_size, wide = config_.intermediate_size;
  const auto norm = [&](const std::string& name, host::Weight& weight,
                        host::Weight& bias) -> Status {
    DBSA_RETURN_IF_ERROR(load.vector(name + ".weight", hidden, weight));
    return load.vector(name + ".bias", hidden, bias);
  };
  DBSA_RETURN_IF_ERROR(
      load.embedding("embeddings.word_embeddings.weight", config_.vocab_size, hidden, words_));
  DBSA_RETURN_IF_ERROR(norm("embeddings.LayerNorm", norm_, norm_bias_));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const std::string at = layer_prefix(i), self = at + "attention.self.";
    Layer& l = layers_.emplace_back();
    DBSA_RETURN_IF_ERROR(load.linear(self + "query", hidden, hidden, true, l.q, l.q_bias));
    DBSA_RETURN_IF_ERROR(load.linear(self + "key", hidden, hidden, true, l.k, l.k_bias));
    DBSA_RETURN_IF_ERROR(load.linear(self + "value", hidden, hidden, true, l.v, l.v_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(at + "attention.output.dense", hidden, hidden, true, l.o, l.o_bias));
    DBSA_RETURN_IF_ERROR(
        norm(at + "attention.output.LayerNorm", l.attention_norm, l.attention_norm_bias));
    DBSA_RETURN_IF_ERROR(
        load.linear(at + "intermediate.dense", wide, hidden, true, l.up, l.up_bias));
    DBSA_RETURN_IF_ERROR(load.linear(at + "output.dense", hidden, wide, true, l.down, l.down_bias));
    DBSA_RETURN_IF_ERROR(norm(at + "output.LayerNorm", l.norm, l.norm_bias));
  }
  return {};
}

// The backend widens the tables of any type.
Status Bert::read_positions(const std::string& prefix) {
  const WeightLoader load(checkpoint_, backend_, prefix + "embeddings.");
  const int64_t positions = config_.max_position_embeddings, hidden = config_.hidden_size;
  EmbeddingTable places, types;
  DBSA_RETURN_IF_ERROR(load.embedding("position_embeddings.weight", positions, hidden, places));
  DBSA_RETURN_IF_ERROR(
      load.embedding("token_type_embeddings.weight", config_.type_vocab_size, hidden, types));
  std::vector<int32_t> ids(static_cast<size_t>(positions));
  std::iota(ids.begin(), ids.end(), 0);
  positions_.resize(static_cast<size_t>(positions * hidden));
  std::vector<float> type(static_cast<size_t>(hidden));
  DBSA_ASSIGN_OR_RETURN(host::Buffer rows, backend_.buffer_create(positions, hidden));
  DBSA_RETURN_IF_ERROR(backend_.embedding(std::span(ids).first(1), types.weight, rows));
  DBSA_RETURN_IF_ERROR(backend_.download(rows, 0, 1, type));
  DBSA_RETURN_IF_ERROR(backend_.embedding(ids, places.weight, rows));
  DBSA_RETURN_IF_ERROR(backend_.download(rows, 0, positions, positions_));
  for (size_t i = 0; i < positions_.size(); ++i) positions_[i] += type[i % type.size()];
  return {};
}

Status Bert::reserve(int64_t rows) {
  Activations& a = *activations_;
  if (rows <= a.rows) return {};
  const int64_t hidden = config_.hidden_size;
  for (host::Buffer* buffer : {&a.x, &a.sum, &a.q, &a.k, &a.v, &a.attended, &a.wide}) {
    *buffer = host::Buffer();  // the old one first: peak memory
    const int64_t width = buffer == &a.wide ? config_.intermediate_size : hidden;
    DBSA_ASSIGN_OR_RETURN(*buffer, backend_.buffer_create(rows, width));
  }
  a.rows = rows;
  return {};
}

// A KV object for each text: so its segment, and with it every bit of its rows, is the same
// regardless of what stands beside it.
Result<Bert::Pass> Bert::prepare(std::span<const std::vector<int32_t>> texts) {
  Pass pass;
  std::vector<dbsa_row_range> ranges;
  std::vector<dbsa_segment> segments;
  for (const std::vector<int32_t>& text : texts) {
    const auto length = static_cast<int64_t>(text.size());
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_.kv_create(length));
    ranges.push_back(
        {sizeof(dbsa_row_range), pass.rows, length, static_cast<int64_t>(segments.size()), 1});
    segments.push_back({sizeof(dbsa_segment), DBSA_SEGMENT_FULL, kv.get(), 0, length, 0, 0});
    pass.texts.push_back(std::move(kv));
    pass.rows += length;
  }
  const std::vector<int32_t> positions(static_cast<size_t>(pass.rows), 0);  // nothing rotates
  dbsa_plan_description plan = {};
  plan.struct_size = sizeof plan;
  plan.rows = pass.rows;
  plan.positions = positions.data();
  plan.range_count = static_cast<int64_t>(ranges.size());
  plan.ranges = ranges.data();
  plan.segment_count = static_cast<int64_t>(segments.size());
  plan.segments = segments.data();
  DBSA_ASSIGN_OR_RETURN(pass.plan, backend_.plan_prepare(plan));
  return pass;
}

// x = layer_norm(word[id] + position[i]); the sum is the host's, no op adds a table's rows.
Status Bert::embed(std::span<const std::vector<int32_t>> texts, int64_t rows) {
  Activations& a = *activations_;
  std::vector<int32_t> ids;
  for (const std::vector<int32_t>& text : texts) ids.insert(ids.end(), text.begin(), text.end());
  DBSA_RETURN_IF_ERROR(backend_.embedding(ids, words_.weight, a.sum));
  std::vector<float> sums(static_cast<size_t>(rows * config_.hidden_size));
  DBSA_RETURN_IF_ERROR(backend_.download(a.sum, 0, rows, sums));
  float* out = sums.data();
  for (const std::vector<int32_t>& text : texts) {
    const auto values = static_cast<int64_t>(text.size()) * config_.hidden_size;
    for (int64_t i = 0; i < values; ++i) out[i] += positions_[static_cast<size_t>(i)];
    out += values;
  }
  DBSA_RETURN_IF_ERROR(backend_.upload(sums, 0, rows, a.sum));
  return backend_.layer_norm(a.sum, rows, norm_, norm_bias_, epsilon(), a.x);
}

Status Bert::attend(const Layer& l, Pass& pass) {
  Activations& a = *activations_;
  const int64_t rows = pass.rows;
  DBSA_RETURN_IF_ERROR(backend_.linear(a.x, rows,
                                       {{l.q, l.q_bias, nullptr, a.q},
                                        {l.k, l.k_bias, nullptr, a.k},
                                        {l.v, l.v_bias, nullptr, a.v}}));
  int64_t row = 0;
  for (host::Kv& kv : pass.texts) {
    DBSA_RETURN_IF_ERROR(backend_.kv_append(a.k, a.v, row, kv.tokens(), 0, 0, kv));
    row += kv.tokens();
  }
  DBSA_RETURN_IF_ERROR(backend_.attention(pass.plan, 0, a.q, a.attended));
  DBSA_RETURN_IF_ERROR(backend_.linear(a.attended, rows, {{l.o, l.o_bias, &a.x, a.sum}}));
  return backend_.layer_norm(a.sum, rows, l.attention_norm, l.attention_norm_bias, epsilon(), a.x);
}

Status Bert::feed_forward(const Layer& l, int64_t rows) {
  Activations& a = *activations_;
  DBSA_RETURN_IF_ERROR(backend_.linear(a.x, rows, {{l.up, l.up_bias, nullptr, a.wide}}));
  DBSA_RETURN_IF_ERROR(backend_.gelu(a.wide, rows, a.wide));
  DBSA_RETURN_IF_ERROR(backend_.linear(a.wide, rows, {{l.down, l.down_bias, &a.x, a.sum}}));
  return backend_.layer_norm(a.sum, rows, l.norm, l.norm_bias, epsilon(), a.x);
}

Result<std::vector<float>> Bert::forward(std::span<const std::vector<int32_t>> texts) {
  DBSA_ASSIGN_OR_RETURN(Pass pass, prepare(texts));
  DBSA_RETURN_IF_ERROR(reserve(pass.rows));
  DBSA_RETURN_IF_ERROR(embed(texts, pass.rows));
  for (const Layer& layer : layers_) {
    DBSA_RETURN_IF_ERROR(attend(layer, pass));
    DBSA_RETURN_IF_ERROR(feed_forward(layer, pass.rows));
  }
  std::vector<float> out(static_cast<size_t>(pass.rows * config_.hidden_size));
  DBSA_RETURN_IF_ERROR(backend_.download(activations_->x, 0, pass.rows, out));
  DBSA_RETURN_IF_ERROR(checkpoint_.check_unchanged());
  return out;
}

}  // namespace dbsa
