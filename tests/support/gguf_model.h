// A Hugging Face model as a GGUF file, as llama.cpp's converter writes it: for tests.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/config/model_config.h"
#include "tests/support/gguf_writer.h"

namespace dbsa::test {

// How elements are written. kQ8: Q8_0 for matrices of whole blocks, F32 for the rest.
enum class GgufElements { kF32, kF16, kBF16, kQ8 };

// bfloat16 of a float32, rounded towards zero, which any number of a test may be.
inline uint16_t cut_to_bf16(float number) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(number) >> 16);
}

// float16 of a float32 of ordinary size, rounded towards zero; smaller numbers become 0.
inline uint16_t cut_to_f16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  const int exponent = static_cast<int>(bits >> 23 & 255) - 127 + 15;
  if (exponent < 1) return static_cast<uint16_t>(bits >> 16 & 0x8000);
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | static_cast<uint32_t>(exponent) << 10 |
                               (bits >> 13 & 1023));
}

inline float widen_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const float magnitude = exponent == 0 ? 0.0f : std::ldexp(1024.0f + (bits & 1023), exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// The numbers of a row as Q8_0 blocks, and what these mean.
inline std::string q8_blocks(std::vector<float>& numbers) {
  std::string out;
  for (size_t first = 0; first < numbers.size(); first += 32) {
    float largest = 0;
    for (size_t i = first; i < first + 32; ++i) largest = std::max(largest, std::abs(numbers[i]));
    const uint16_t scale = cut_to_f16(largest / 127 * 1.01f);
    const float d = widen_f16(scale);
    out += raw(scale);
    for (size_t i = first; i < first + 32; ++i) {
      const auto q = static_cast<int8_t>(d == 0 ? 0 : std::lround(numbers[i] / d));
      out += static_cast<char>(q);
      numbers[i] = d * static_cast<float>(q);
    }
  }
  return out;
}

inline std::string gguf_architecture(ModelFamily family) {
  switch (family) {
    case ModelFamily::kQwen2:
      return "qwen2";
    case ModelFamily::kQwen3:
      return "qwen3";
    case ModelFamily::kGemma2:
      return "gemma2";
    case ModelFamily::kGemma3:
      return "gemma3";
    case ModelFamily::kSmolLm3:
      return "smollm3";
    case ModelFamily::kOlmo2:
      return "olmo2";
    case ModelFamily::kPhi3:
      return "phi3";
    case ModelFamily::kGranite:
      return "granite";
    case ModelFamily::kQwen3Moe:
      return "qwen3moe";
    default:
      return "llama";
  }
}

inline bool is_gemma(ModelFamily family) {
  return family == ModelFamily::kGemma2 || family == ModelFamily::kGemma3;
}

// Behind "experts.E." of Mixtral, of Qwen3-MoE: one tensor for all experts of a layer.
inline std::string gguf_expert_name(const std::string& name) {
  const std::string layer = name.substr(std::string("model.layers.").size());
  const std::string stem = name.substr(name.find("experts.") + 8);
  const char* kind =
      stem.find("w1") != std::string::npos || stem.find("gate") != std::string::npos   ? "gate"
      : stem.find("w2") != std::string::npos || stem.find("down") != std::string::npos ? "down"
                                                                                       : "up";
  return "blk." + layer.substr(0, layer.find('.')) + ".ffn_" + kind + "_exps.weight";
}

inline bool is_router(const std::string& name) {
  return name.ends_with("mlp.gate.weight") || name.ends_with("block_sparse_moe.gate.weight");
}

inline std::string gguf_name(std::string name, ModelFamily family = ModelFamily::kLlama) {
  if (name.find("experts.") != std::string::npos) return gguf_expert_name(name);
  const bool output_norms = is_gemma(family) || family == ModelFamily::kOlmo2;
  const std::pair<const char*, const char*> names[] = {
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
      {"model.layers", "blk"},
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", output_norms ? "post_attention_norm" : "ffn_norm"},
      {"pre_feedforward_layernorm", "ffn_norm"},
      {"post_feedforward_layernorm", "post_ffw_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.qkv_proj", "attn_qkv"},
      {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"},
      {"self_attn.o_proj", "attn_output"},
      {"mlp.gate.", "ffn_gate_inp."},
      {"block_sparse_moe.gate.", "ffn_gate_inp."},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.gate_up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  for (const auto& [from, to] : names)
    if (const size_t at = name.find(from); at != std::string::npos)
      name.replace(at, std::string(from).size(), to);
  return name;
}

// The tensor, or one more expert of a stack, which is the slowest dimension.
inline void add_tensor(GgufPlan& plan, const std::string& name, std::vector<uint64_t> dimensions,
                       uint32_t type, const std::string& data) {
  if (name.find("_exps.") == std::string::npos) {
    plan.tensor(name, std::move(dimensions), type, data);
    return;
  }
  for (GgufTensor& stack : plan.tensors)
    if (stack.name == name) {
      ++stack.dimensions.back();
      stack.data += data;
      return;
    }
  dimensions.push_back(1);
  plan.tensor(name, std::move(dimensions), type, data);
}

struct GgufModel {
  GgufPlan plan;
  // The numbers of the tensors, in Hugging Face's names and order.
  std::vector<std::pair<TensorSpec, std::vector<float>>> tensors;
};

// Converters write what is not the architecture's own, and leave out what follows from the rest.
inline void add_family_keys(const ModelConfig& config, const std::string& a, GgufPlan& plan) {
  const auto number = [&](const char* name, double value) {
    plan.f32(a + name, static_cast<float>(value));
  };
  if (config.family == ModelFamily::kGemma2)
    number(".attn_logit_softcapping", config.attention_soft_cap);
  if (config.logit_soft_cap > 0) number(".final_logit_softcapping", config.logit_soft_cap);
  if (config.family == ModelFamily::kPhi3) {
    if (!config.sliding_window) plan.u32(a + ".attention.sliding_window", 0);
    plan.u32(a + ".rope.scaling.original_context_length",
             static_cast<uint32_t>(config.rope.original_max_position_embeddings));
  }
  if (config.rope.kind == RopeKind::kLongRope) {
    number(".rope.scaling.attn_factor", config.rope.rotation_factor);
    const uint64_t pairs = config.rope.long_factors.size();
    plan.tensor("rope_factors_long.weight", {pairs}, 0, raw(config.rope.long_factors));
    plan.tensor("rope_factors_short.weight", {pairs}, 0, raw(config.rope.short_factors));
  }
  if (config.experts.count > 0)
    plan.u32(a + ".expert_count", static_cast<uint32_t>(config.experts.count))
        .u32(a + ".expert_used_count", static_cast<uint32_t>(config.experts.used));
  if (config.family == ModelFamily::kQwen3Moe)
    plan.u32(a + ".expert_feed_forward_length",
             static_cast<uint32_t>(config.experts.intermediate_size));
  if (config.family == ModelFamily::kGranite) {
    number(".attention.scale", config.attention_scale.value_or(1));
    number(".embedding_scale", config.embedding_multiplier);
    number(".residual_scale", config.residual_multiplier);
    number(".logit_scale", config.logits_scaling);
  }
}

// Keys of the configuration, without a tokenizer, and the tensors of RoPE's factors.
inline GgufPlan gguf_keys(const ModelConfig& config) {
  const std::string a = gguf_architecture(config.family);
  const bool own_width = config.head_dim * config.heads != config.hidden_size;
  const bool complete =
      config.family == ModelFamily::kLlama || config.family == ModelFamily::kMistral ||
      config.family == ModelFamily::kMixtral || config.family == ModelFamily::kQwen2;
  GgufPlan plan;
  plan.text("general.architecture", a)
      .u32(a + ".block_count", static_cast<uint32_t>(config.layers))
      .u32(a + ".context_length", static_cast<uint32_t>(config.max_position_embeddings))
      .u32(a + ".embedding_length", static_cast<uint32_t>(config.hidden_size))
      .u32(a + ".feed_forward_length", static_cast<uint32_t>(config.intermediate_size))
      .u32(a + ".attention.head_count", static_cast<uint32_t>(config.heads))
      .u32(a + ".attention.head_count_kv", static_cast<uint32_t>(config.kv_heads))
      .f32(a + ".attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  if (complete || own_width)
    plan.u32(a + ".attention.key_length", static_cast<uint32_t>(config.head_dim))
        .u32(a + ".attention.value_length", static_cast<uint32_t>(config.head_dim));
  if (complete || config.rope.head_dim != config.head_dim)
    plan.u32(a + ".rope.dimension_count", static_cast<uint32_t>(config.rope.head_dim));
  if (complete) plan.u32(a + ".vocab_size", static_cast<uint32_t>(config.vocab_size));
  if (config.family != ModelFamily::kGemma2)
    plan.f32(a + ".rope.freq_base", static_cast<float>(config.rope.theta));
  if (config.rope.kind == RopeKind::kLinear || config.rope.kind == RopeKind::kYarn)
    plan.text(a + ".rope.scaling.type", rope_kind_name(config.rope.kind))
        .f32(a + ".rope.scaling.factor", static_cast<float>(config.rope.factor));
  if (config.rope.kind == RopeKind::kYarn)
    plan.u32(a + ".rope.scaling.original_context_length",
             static_cast<uint32_t>(config.rope.original_max_position_embeddings));
  if (config.sliding_window)
    plan.u32(a + ".attention.sliding_window", static_cast<uint32_t>(*config.sliding_window));
  if (config.bos_token_id)
    plan.u32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*config.bos_token_id));
  if (!config.eos_token_ids.empty())
    plan.u32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(config.eos_token_ids.front()));
  add_family_keys(config, a, plan);
  return plan;
}

// The checkpoint must be in float32.
inline GgufModel gguf_model(const ModelConfig& config, const Checkpoint& checkpoint,
                            GgufElements elements) {
  GgufModel out;
  out.plan = gguf_keys(config);
  for (const TensorSpec& spec : expected_tensors(config)) {
    const auto data = checkpoint.read(spec.name, spec.shape, TensorDtype::kF32);
    std::vector<float> numbers(data->view.bytes / 4);
    std::memcpy(numbers.data(), data->view.data, data->view.bytes);
    const bool matrix = spec.shape.size() == 2;
    const auto rows = static_cast<size_t>(spec.shape[0]);
    const size_t width = numbers.size() / rows, half = static_cast<size_t>(config.head_dim) / 2;
    const bool permuted =
        config.family == ModelFamily::kLlama || config.family == ModelFamily::kMistral ||
        config.family == ModelFamily::kMixtral || config.family == ModelFamily::kSmolLm3 ||
        config.family == ModelFamily::kGranite;
    const bool interleaved = permuted && (spec.name.find("q_proj") != std::string::npos ||
                                          spec.name.find("k_proj") != std::string::npos);
    // With the 1 in the weights, as float32.
    const bool plus_one = is_gemma(config.family) && spec.name.find("norm") != std::string::npos;
    const bool router = is_router(spec.name);  // in float32 always
    uint32_t type = 0;
    std::vector<std::string> stored(rows);
    for (size_t row = 0; row < rows; ++row) {
      std::vector<float> line(numbers.begin() + static_cast<std::ptrdiff_t>(row * width),
                              numbers.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
      std::string bytes;
      if (elements == GgufElements::kQ8 && matrix && !router && width % 32 == 0) {
        type = 8;
        bytes = q8_blocks(line);
      } else if (elements == GgufElements::kF32 || elements == GgufElements::kQ8) {
        bytes = raw(line);
      } else {
        type = elements == GgufElements::kF16 ? 1 : 30;
        for (float& number : line) {
          const uint16_t bits = type == 1 ? cut_to_f16(number) : cut_to_bf16(number);
          bytes += raw(bits);
          number =
              type == 1 ? widen_f16(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
        }
      }
      std::copy(line.begin(), line.end(),
                numbers.begin() + static_cast<std::ptrdiff_t>(row * width));
      if (plus_one || router) {
        type = 0;
        if (plus_one)
          for (float& number : line) ++number;
        bytes = raw(line);
      }
      const size_t head = row / (2 * half) * 2 * half, in_head = row % (2 * half);
      stored[interleaved ? head + 2 * (in_head % half) + in_head / half : row] = bytes;
    }
    std::string all;
    for (const std::string& line : stored) all += line;
    std::vector<uint64_t> dimensions(spec.shape.rbegin(), spec.shape.rend());
    add_tensor(out.plan, gguf_name(spec.name, config.family), dimensions, type, all);
    out.tensors.emplace_back(spec, numbers);
  }
  return out;
}

}  // namespace dbsa::test
