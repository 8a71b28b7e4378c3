#include "tests/reference/oracle.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/checkpoint/checkpoint.h"

namespace dbsa::reference {
namespace {

float half_to_float(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  double value;
  if (exponent == 31) {
    value = fraction == 0 ? HUGE_VAL : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(1024 + fraction, exponent - 25);
  }
  return static_cast<float>(bits & 0x8000 ? -value : value);
}

Matrix widen(const TensorView& tensor, bool round) {
  const size_t width = tensor.dtype == TensorDtype::kF32 ? 4 : 2;
  Matrix out(tensor.bytes / width);
  for (size_t i = 0; i < out.size(); ++i) {
    float value = 0;
    if (tensor.dtype == TensorDtype::kF32) {
      std::memcpy(&value, tensor.data + 4 * i, 4);
    } else {
      uint16_t bits;
      std::memcpy(&bits, tensor.data + 2 * i, 2);
      value = tensor.dtype == TensorDtype::kF16 ? half_to_float(bits)
                                                : std::bit_cast<float>(uint32_t{bits} << 16);
    }
    out[i] = round ? round_to_bf16(value) : value;
  }
  return out;
}

OracleRope rope_of(const nlohmann::json& config, int64_t head_dim) {
  OracleRope rope;
  rope.head_dim = head_dim;
  rope.theta = config.value("rope_theta", 10000.0);
  rope.original_length = config.value("max_position_embeddings", 2048.0);
  if (!config.contains("rope_scaling") || config["rope_scaling"].is_null()) return rope;
  const auto& scaling = config["rope_scaling"];
  rope.kind = scaling.contains("type") ? scaling["type"] : scaling["rope_type"];
  rope.factor = scaling.value("factor", 1.0);
  rope.original_length = scaling.value("original_max_position_embeddings", rope.original_length);
  rope.low_freq_factor = scaling.value("low_freq_factor", rope.low_freq_factor);
  rope.high_freq_factor = scaling.value("high_freq_factor", rope.high_freq_factor);
  rope.beta_fast = scaling.value("beta_fast", rope.beta_fast);
  rope.beta_slow = scaling.value("beta_slow", rope.beta_slow);
  if (scaling.contains("attention_factor")) rope.magnitude = scaling["attention_factor"];
  return rope;
}

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void add(Matrix& to, const Matrix& what) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += what[i];
}

size_t at(int64_t row, int64_t width) { return static_cast<size_t>(row * width); }

}  // namespace

float round_to_bf16(float value) {
  if (std::isnan(value)) return value;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t tie_to_even = (bits >> 16) & 1;
  return std::bit_cast<float>((bits + 0x7fff + tie_to_even) & 0xffff0000u);
}

std::vector<int64_t> plain_positions(int64_t tokens) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < tokens; ++i) out.push_back(i);
  return out;
}

Mask causal_mask(int64_t tokens) {
  Mask out(static_cast<size_t>(tokens * tokens), 0);
  for (int64_t row = 0; row < tokens; ++row) {
    for (int64_t token = 0; token <= row; ++token) out[at(row, tokens) + at(token, 1)] = 1;
  }
  return out;
}

void oracle_rotate(Matrix& x, const std::vector<int64_t>& positions, int64_t heads,
                   const std::vector<double>& frequencies, double magnitude) {
  const auto half = static_cast<int64_t>(frequencies.size());
  for (size_t row = 0; row < positions.size(); ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      double* v = &x[at(static_cast<int64_t>(row) * heads + head, 2 * half)];
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(positions[row]) * frequencies[static_cast<size_t>(i)];
        const double a = v[i], b = v[i + half];
        v[i] = magnitude * (a * std::cos(angle) - b * std::sin(angle));
        v[i + half] = magnitude * (b * std::cos(angle) + a * std::sin(angle));
      }
    }
  }
}

Matrix oracle_attention(const OracleAttention& shape, Matrix q,
                        const std::vector<int64_t>& q_positions, Matrix k, const Matrix& v,
                        const std::vector<int64_t>& k_positions, const Mask& visible) {
  oracle_rotate(q, q_positions, shape.heads, shape.frequencies, shape.magnitude);
  oracle_rotate(k, k_positions, shape.kv_heads, shape.frequencies, shape.magnitude);
  const auto rows = static_cast<int64_t>(q_positions.size());
  const auto tokens = static_cast<int64_t>(k_positions.size());
  const int64_t dim = shape.head_dim, q_width = shape.heads * dim, kv_width = shape.kv_heads * dim;
  Matrix out(q.size(), 0.0);
  Matrix score(static_cast<size_t>(tokens));
  for (int64_t row = 0; row < rows; ++row) {
    const unsigned char* sees = &visible[at(row, tokens)];
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t kv_head = head / (shape.heads / shape.kv_heads);
      const double* query = &q[at(row, q_width) + at(head, dim)];
      double largest = -HUGE_VAL, total = 0;
      for (int64_t t = 0; t < tokens; ++t) {
        if (!sees[t]) continue;
        const double* key = &k[at(t, kv_width) + at(kv_head, dim)];
        score[at(t, 1)] = shape.scale * dot(query, key, dim);
        largest = std::max(largest, score[at(t, 1)]);
      }
      for (int64_t t = 0; t < tokens; ++t) {
        if (sees[t]) total += std::exp(score[at(t, 1)] - largest);
      }
      double* result = &out[at(row, q_width) + at(head, dim)];
      for (int64_t t = 0; t < tokens; ++t) {
        if (!sees[t]) continue;
        const double weight = std::exp(score[at(t, 1)] - largest) / total;
        const double* value = &v[at(t, kv_width) + at(kv_head, dim)];
        for (int64_t i = 0; i < dim; ++i) result[i] += weight * value[i];
      }
    }
  }
  return out;
}

Result<OracleModel> OracleModel::load(const std::string& folder, const OracleOptions& options) {
  OracleModel model;
  try {
    std::ifstream in(folder + "/config.json");
    const auto config = nlohmann::json::parse(in);
    model.vocabulary_ = config.at("vocab_size");
    model.layers_ = config.at("num_hidden_layers");
    model.heads_ = config.at("num_attention_heads");
    model.kv_heads_ = config.at("num_key_value_heads");
    model.hidden_ = config.at("hidden_size");
    model.wide_ = config.at("intermediate_size");
    model.epsilon_ = config.at("rms_norm_eps");
    model.tied_ = config.value("tie_word_embeddings", false);
    model.rope = rope_of(config, config.value("head_dim", model.hidden_ / model.heads_));
  } catch (const std::exception& e) {
    return Error{ErrorCode::kEnvironment, folder + "/config.json: " + e.what(), {}};
  }
  DBSA_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(folder));
  for (const SafetensorsFile& file : checkpoint.files()) {
    for (const auto& entry : file.entries()) {
      DBSA_ASSIGN_OR_RETURN(const TensorView tensor, file.tensor(entry.name));
      model.weights_[entry.name] = widen(tensor, options.round_weights_to_bf16);
    }
  }
  return model;
}

// x W^T + bias, the bias where the checkpoint has one.
Matrix OracleModel::linear(const Matrix& x, const std::string& name, int64_t in,
                           int64_t out) const {
  const Matrix& weight = weights_.at(name + ".weight");
  const auto bias = weights_.find(name + ".bias");
  const auto rows = static_cast<int64_t>(x.size()) / in;
  Matrix y(at(rows, out));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t o = 0; o < out; ++o) {
      const double b = bias == weights_.end() ? 0.0 : bias->second[at(o, 1)];
      y[at(row, out) + at(o, 1)] = dot(&x[at(row, in)], &weight[at(o, in)], in) + b;
    }
  }
  return y;
}

Matrix OracleModel::rms_norm(const Matrix& x, const std::string& name) const {
  const Matrix& weight = weights_.at(name + ".weight");
  Matrix y = x;
  for (size_t row = 0; row < x.size(); row += weight.size()) {
    const auto width = static_cast<int64_t>(weight.size());
    const double mean = dot(&x[row], &x[row], width) / static_cast<double>(width);
    for (size_t i = 0; i < weight.size(); ++i) {
      y[row + i] = x[row + i] / std::sqrt(mean + epsilon_) * weight[i];
    }
  }
  return y;
}

Matrix OracleModel::hidden_states(const std::vector<int32_t>& ids,
                                  const std::vector<int64_t>& positions, const Mask& mask,
                                  int64_t layers, std::vector<OracleKv>* kv) const {
  const int64_t q_width = heads_ * rope.head_dim, kv_width = kv_heads_ * rope.head_dim;
  const OracleAttention attention{
      .heads = heads_,
      .kv_heads = kv_heads_,
      .head_dim = rope.head_dim,
      .scale = 1 / std::sqrt(static_cast<double>(rope.head_dim)),
      .frequencies = frequencies.empty() ? oracle_frequencies(rope) : frequencies,
      .magnitude = oracle_magnitude(rope)};
  Matrix x;
  for (int32_t id : ids) {
    const double* row = &weights_.at("model.embed_tokens.weight")[at(id, hidden_)];
    x.insert(x.end(), row, row + hidden_);
  }
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const Matrix normed = rms_norm(x, layer + "input_layernorm");
    const Matrix q = linear(normed, layer + "self_attn.q_proj", hidden_, q_width);
    const Matrix k = linear(normed, layer + "self_attn.k_proj", hidden_, kv_width);
    const Matrix v = linear(normed, layer + "self_attn.v_proj", hidden_, kv_width);
    const Matrix mixed = oracle_attention(attention, q, positions, k, v, positions, mask);
    add(x, linear(mixed, layer + "self_attn.o_proj", q_width, hidden_));
    if (kv != nullptr) {
      Matrix rotated = k;
      oracle_rotate(rotated, positions, kv_heads_, attention.frequencies, attention.magnitude);
      kv->push_back({k, std::move(rotated), v});
    }
    const Matrix inner = rms_norm(x, layer + "post_attention_layernorm");
    Matrix gate = linear(inner, layer + "mlp.gate_proj", hidden_, wide_);
    const Matrix up = linear(inner, layer + "mlp.up_proj", hidden_, wide_);
    for (size_t j = 0; j < gate.size(); ++j) gate[j] = gate[j] / (1 + std::exp(-gate[j])) * up[j];
    add(x, linear(gate, layer + "mlp.down_proj", wide_, hidden_));
  }
  return x;
}

Matrix OracleModel::logits(const std::vector<int32_t>& ids, const std::vector<int64_t>& positions,
                           const Mask& mask, std::vector<OracleKv>* kv) const {
  return linear(rms_norm(hidden_states(ids, positions, mask, layers_, kv), "model.norm"),
                tied_ ? "model.embed_tokens" : "lm_head", hidden_, vocabulary_);
}

}  // namespace dbsa::reference
