#include "tests/reference/oracle_bert.h"

#include <cmath>

namespace dbsa::reference {
namespace {

Matrix sum(Matrix a, const Matrix& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

}  // namespace

Matrix OracleBert::linear(const Matrix& x, const std::string& name, int64_t in, int64_t out) const {
  const Matrix &weight = at(name + ".weight"), &bias = at(name + ".bias");
  const auto wide_in = static_cast<size_t>(in), wide_out = static_cast<size_t>(out);
  Matrix y;
  for (size_t row = 0; row < x.size() / wide_in; ++row) {
    for (size_t o = 0; o < wide_out; ++o) {
      double value = bias[o];
      for (size_t i = 0; i < wide_in; ++i) value += x[row * wide_in + i] * weight[o * wide_in + i];
      y.push_back(value);
    }
  }
  return y;
}

Matrix OracleBert::layer_norm(const Matrix& x, const std::string& name) const {
  const Matrix &weight = at(name + ".weight"), &bias = at(name + ".bias");
  const auto width = static_cast<size_t>(hidden);
  Matrix y;
  for (size_t row = 0; row < x.size(); row += width) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < width; ++i) mean += x[row + i] / static_cast<double>(hidden);
    for (size_t i = 0; i < width; ++i)
      variance += (x[row + i] - mean) * (x[row + i] - mean) / static_cast<double>(hidden);
    for (size_t i = 0; i < width; ++i)
      y.push_back((x[row + i] - mean) / std::sqrt(variance + epsilon) * weight[i] + bias[i]);
  }
  return y;
}

Matrix OracleBert::forward(const std::vector<int32_t>& ids) const {
  const auto width = static_cast<size_t>(hidden);
  Matrix x;
  for (size_t p = 0; p < ids.size(); ++p) {
    for (size_t i = 0; i < width; ++i) {
      x.push_back(at("embeddings.word_embeddings.weight")[static_cast<size_t>(ids[p]) * width + i] +
                  at("embeddings.position_embeddings.weight")[p * width + i] +
                  at("embeddings.token_type_embeddings.weight")[i]);
    }
  }
  x = layer_norm(x, "embeddings.LayerNorm");
  OracleAttention shape;
  shape.heads = shape.kv_heads = heads;
  shape.head_dim = hidden / heads;
  shape.scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  shape.frequencies.assign(static_cast<size_t>(shape.head_dim / 2), 0.0);
  const std::vector<int64_t> positions(ids.size(), 0);
  const Mask all(ids.size() * ids.size(), 1);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i) + ".";
    const auto project = [&](const char* name) {
      return linear(x, layer + "attention.self." + name, hidden, hidden);
    };
    const Matrix attended = oracle_attention(shape, project("query"), positions, project("key"),
                                             project("value"), positions, all);
    x = layer_norm(sum(x, linear(attended, layer + "attention.output.dense", hidden, hidden)),
                   layer + "attention.output.LayerNorm");
    Matrix inner = linear(x, layer + "intermediate.dense", hidden, wide);
    for (double& value : inner) value *= 0.5 * std::erfc(-value / std::sqrt(2.0));
    x = layer_norm(sum(x, linear(inner, layer + "output.dense", wide, hidden)),
                   layer + "output.LayerNorm");
  }
  return x;
}

}  // namespace dbsa::reference
