#include "model/weights.h"

#include <cstring>

namespace dbsa {

std::vector<TensorSpec> expected_tensors(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  std::vector<TensorSpec> out;
  const auto linear = [&](const std::string& name, int64_t rows, int64_t columns, bool bias) {
    out.push_back({name + ".weight", {rows, columns}});
    if (bias) out.push_back({name + ".bias", {rows}});
  };
  out.push_back({"model.embed_tokens.weight", {config.vocab_size, hidden}});
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    out.push_back({layer + "input_layernorm.weight", {hidden}});
    linear(layer + "self_attn.q_proj", q, hidden, config.qkv_bias);
    linear(layer + "self_attn.k_proj", kv, hidden, config.qkv_bias);
    linear(layer + "self_attn.v_proj", kv, hidden, config.qkv_bias);
    linear(layer + "self_attn.o_proj", hidden, q, config.output_bias);
    out.push_back({layer + "post_attention_layernorm.weight", {hidden}});
    linear(layer + "mlp.gate_proj", wide, hidden, config.mlp_bias);
    linear(layer + "mlp.up_proj", wide, hidden, config.mlp_bias);
    linear(layer + "mlp.down_proj", hidden, wide, config.mlp_bias);
  }
  out.push_back({"model.norm.weight", {hidden}});
  if (!config.tie_word_embeddings) out.push_back({"lm_head.weight", {config.vocab_size, hidden}});
  return out;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t parameters = 0;
  for (const TensorSpec& tensor : expected_tensors(config)) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.shape) elements *= extent;
    parameters += elements;
  }
  return parameters;
}

Status Weights::check_unchanged() const {
  for (const TensorFile* file : tensor_files()) DBSA_RETURN_IF_ERROR(file->check_unchanged());
  return {};
}

TensorData aligned(const TensorView& view) {
  TensorData out = {view, {}};
  const uintptr_t alignment = view.dtype == TensorDtype::kF32 ? 4 : 2;
  if (reinterpret_cast<uintptr_t>(view.data) % alignment == 0) return out;
  out.copy.resize((view.bytes + 3) / 4);
  if (view.bytes > 0) std::memcpy(out.copy.data(), view.data, view.bytes);
  out.view.data = reinterpret_cast<const unsigned char*>(out.copy.data());
  return out;
}

}  // namespace dbsa
