#include "model/config/model_spec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

#include "model/config/rope.h"

namespace dbsa {
namespace {

// Families whose blocks were stored before there was a spec: their text must not change.
bool is_plain(ModelFamily family) {
  return family == ModelFamily::kLlama || family == ModelFamily::kMistral ||
         family == ModelFamily::kQwen2;
}

bool at(const std::vector<bool>& layers, size_t layer, bool otherwise) {
  return layers.empty() ? otherwise : layers[layer];
}

// The index of a value in a list, where it is put if it is not there.
template <typename T>
int64_t index_of(std::vector<T>& list, const T& value) {
  const auto found = std::find(list.begin(), list.end(), value);
  if (found != list.end()) return found - list.begin();
  list.push_back(value);
  return static_cast<int64_t>(list.size()) - 1;
}

void set_norms(ModelFamily family, LayerSpec& layer) {
  switch (family) {
    case ModelFamily::kQwen3:
    case ModelFamily::kQwen3Moe:
      layer.qk_norm = QkNorm::kHead;
      break;
    case ModelFamily::kGemma3:
      layer.qk_norm = QkNorm::kHead;
      [[fallthrough]];
    case ModelFamily::kGemma2:
      layer.attention_output_norm = layer.mlp_output_norm = true;
      break;
    case ModelFamily::kOlmo2:
      layer.qk_norm = QkNorm::kWhole;
      layer.attention_norm = layer.mlp_norm = false;
      layer.attention_output_norm = layer.mlp_output_norm = true;
      break;
    default:
      break;
  }
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

}  // namespace

ModelSpec make_model_spec(const ModelConfig& config) {
  const bool gemma = config.family == ModelFamily::kGemma2 || config.family == ModelFamily::kGemma3;
  ModelSpec spec;
  spec.family = config.family;
  spec.model_type = config.model_type;
  spec.hidden_size = config.hidden_size;
  spec.intermediate_size = config.intermediate_size;
  spec.vocab_size = config.vocab_size;
  spec.heads = config.heads;
  spec.kv_heads = config.kv_heads;
  spec.head_dim = config.head_dim;
  spec.rms_norm_eps = config.rms_norm_eps;
  spec.tied_head = config.tie_word_embeddings;
  spec.norm_plus_one = config.norm_plus_one;
  spec.fused_qkv = spec.fused_gate_up = config.family == ModelFamily::kPhi3;
  spec.embedding_multiplier = config.embedding_multiplier;
  spec.rounds_embedding_multiplier = gemma;
  spec.residual_multiplier = config.residual_multiplier;
  spec.logit_multiplier = 1 / config.logits_scaling;
  spec.logit_soft_cap = config.logit_soft_cap;
  spec.experts = config.experts;
  spec.ropes = {config.rope};
  if (config.window_rope) spec.ropes.push_back(*config.window_rope);

  for (size_t i = 0; i < static_cast<size_t>(config.layers); ++i) {
    LayerSpec layer;
    set_norms(config.family, layer);
    layer.activation = gemma ? Activation::kGeluTanh : Activation::kSilu;
    layer.qkv_bias = config.qkv_bias;
    layer.output_bias = config.output_bias;
    layer.mlp_bias = config.mlp_bias;
    layer.experts = config.experts.count > 0 && at(config.expert_layers, i, true);
    // A window that no prompt fills is none.
    const bool window = config.sliding_window && *config.sliding_window < config.max_positions &&
                        at(config.window_layers, i, true);
    AttentionType type;
    const bool local = config.window_rope && at(config.window_layers, i, true);
    type.rope = at(config.unrotated_layers, i, false) ? -1 : local ? 1 : 0;
    type.window = window ? *config.sliding_window : 0;
    type.scale =
        config.attention_scale.value_or(1 / std::sqrt(static_cast<double>(config.head_dim)));
    type.soft_cap = config.attention_soft_cap;
    layer.attention = index_of(spec.attention_types, type);
    spec.layers.push_back(layer);
  }
  return spec;
}

std::string spec_identity(const ModelSpec& spec) {
  const LayerSpec& first = spec.layers.front();
  char text[320];
  std::snprintf(text, sizeof text,
                "%s hidden %lld wide %lld layers %lld heads %lld kv_heads %lld "
                "head_dim %lld vocabulary %lld epsilon %.17g tied %d bias %d %d %d\n",
                is_plain(spec.family) ? "model 1 llama-family" : "model 2 decoder",
                static_cast<long long>(spec.hidden_size),
                static_cast<long long>(spec.intermediate_size),
                static_cast<long long>(spec.layers.size()), static_cast<long long>(spec.heads),
                static_cast<long long>(spec.kv_heads), static_cast<long long>(spec.head_dim),
                static_cast<long long>(spec.vocab_size), spec.rms_norm_eps, spec.tied_head,
                first.qkv_bias, first.output_bias, first.mlp_bias);
  std::string out = text;
  if (is_plain(spec.family)) return out;
  out += "norm_plus_one " + std::to_string(spec.norm_plus_one);
  out += format(" embedding %.17g", spec.embedding_multiplier);
  out += format(" residual %.17g", spec.residual_multiplier);
  out += format(" logits %.17g", spec.logit_multiplier);
  out += format(" cap %.17g\n", spec.logit_soft_cap);
  const ExpertConfig& experts = spec.experts;
  if (experts.count > 0)
    out += "experts " + std::to_string(experts.count) + " used " + std::to_string(experts.used) +
           " wide " + std::to_string(experts.intermediate_size) + " normalised " +
           std::to_string(experts.normalised) + "\n";
  for (const LayerSpec& layer : spec.layers) {
    for (const bool norm :
         {layer.attention_norm, layer.attention_output_norm, layer.mlp_norm, layer.mlp_output_norm})
      out += norm ? '1' : '0';
    out += " qk_norm " + std::to_string(static_cast<int>(layer.qk_norm));
    out += " activation " + std::to_string(static_cast<int>(layer.activation));
    out += layer.experts ? " experts\n" : "\n";
  }
  return out + layer_identity(spec);
}

std::string layer_identity(const ModelSpec& spec) {
  if (spec.attention_types.size() == 1 && spec.attention_types[0].window == 0 &&
      is_plain(spec.family))
    return "";
  std::string out;
  for (const LayerSpec& layer : spec.layers) {
    const AttentionType& type = spec.attention_types[static_cast<size_t>(layer.attention)];
    out += "rope " + std::to_string(type.rope) + " window " + std::to_string(type.window);
    out += format(" scale %.17g", type.scale) + format(" cap %.17g\n", type.soft_cap);
  }
  for (const RopeParameters& rope : spec.ropes) out += rope_identity(rope) + "\n";
  return out;
}

std::vector<float> pair_frequencies(const ModelSpec& spec, const AttentionType& type) {
  std::vector<float> frequencies;
  if (type.rope >= 0)
    frequencies = rope_inverse_frequencies(spec.ropes[static_cast<size_t>(type.rope)]);
  frequencies.resize(static_cast<size_t>(spec.head_dim / 2), 0.0f);
  return frequencies;
}

std::vector<float> pair_factors(const ModelSpec& spec, const AttentionType& type) {
  if (type.rope < 0) return {};
  const RopeParameters& rope = spec.ropes[static_cast<size_t>(type.rope)];
  if (rope.rotation_factor == 1) return {};
  std::vector<float> factors(static_cast<size_t>(spec.head_dim / 2), 1.0f);
  std::fill_n(factors.begin(), rope.head_dim / 2, static_cast<float>(rope.rotation_factor));
  return factors;
}

std::vector<int64_t> rotary_order(const ModelSpec& spec) {
  const int64_t rotated = spec.ropes[0].head_dim, whole = spec.head_dim;
  if (rotated == whole) return {};
  std::vector<int64_t> order;
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t i = 0; i < rotated / 2; ++i) order.push_back(half * rotated / 2 + i);
    for (int64_t i = 0; i < (whole - rotated) / 2; ++i)
      order.push_back(rotated + half * (whole - rotated) / 2 + i);
  }
  return order;
}

}  // namespace dbsa
