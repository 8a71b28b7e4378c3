#include "model/gguf/architecture.h"

#include <array>
#include <charconv>
#include <utility>

namespace dbsa::gguf {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"llama", ModelFamily::kLlama, "llama", true, false, false},
    Architecture{"qwen2", ModelFamily::kQwen2, "qwen2", false, true, false},
    Architecture{"qwen3", ModelFamily::kQwen3, "qwen3", false, false, false},
    Architecture{"gemma3", ModelFamily::kGemma3, "gemma3_text", false, false, true},
    Architecture{"gemma2", ModelFamily::kGemma2, "gemma2", false, false, true},
    Architecture{"phi3", ModelFamily::kPhi3, "phi3", false, false, false},
    Architecture{"smollm3", ModelFamily::kSmolLm3, "smollm3", true, false, false},
    Architecture{"olmo2", ModelFamily::kOlmo2, "olmo2", false, false, true},
    Architecture{"granite", ModelFamily::kGranite, "granite", true, false, false},
    Architecture{"qwen3moe", ModelFamily::kQwen3Moe, "qwen3_moe", false, false, false},
};

using Names = std::pair<std::string_view, std::string_view>;  // Hugging Face's, GGUF's

constexpr std::array<Names, 3> kOutside = {
    {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}}};
constexpr std::array<Names, 16> kInLayer = {{{"input_layernorm", "attn_norm"},
                                             {"self_attn.q_proj", "attn_q"},
                                             {"self_attn.k_proj", "attn_k"},
                                             {"self_attn.v_proj", "attn_v"},
                                             {"self_attn.qkv_proj", "attn_qkv"},
                                             {"self_attn.q_norm", "attn_q_norm"},
                                             {"self_attn.k_norm", "attn_k_norm"},
                                             {"self_attn.o_proj", "attn_output"},
                                             {"pre_feedforward_layernorm", "ffn_norm"},
                                             {"mlp.gate_proj", "ffn_gate"},
                                             {"mlp.up_proj", "ffn_up"},
                                             {"mlp.gate_up_proj", "ffn_up"},
                                             {"mlp.down_proj", "ffn_down"},
                                             {"mlp.gate", "ffn_gate_inp"},
                                             {"block_sparse_moe.gate", "ffn_gate_inp"},
                                             {"post_feedforward_layernorm", "post_ffw_norm"}}};
// Of an expert E, behind "mlp.experts.E." and "block_sparse_moe.experts.E.": all experts of a layer
// are one tensor.
constexpr std::array<Names, 6> kInExpert = {{{"gate_proj", "ffn_gate_exps"},
                                             {"up_proj", "ffn_up_exps"},
                                             {"down_proj", "ffn_down_exps"},
                                             {"w1", "ffn_gate_exps"},
                                             {"w3", "ffn_up_exps"},
                                             {"w2", "ffn_down_exps"}}};
// Hugging Face calls so the norm before the MLP, or the one on attention's output.
constexpr std::string_view kAfterAttention = "post_attention_layernorm";

template <size_t count>
std::string_view translate(const std::array<Names, count>& names, std::string_view name) {
  for (const auto& [from, to] : names)
    if (from == name) return to;
  return "";
}

// Of "mlp.experts.12.up_proj" the number and what is behind it; of other names neither.
std::string_view cut_expert(std::string_view stem, int64_t& expert) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t at = stem.find(kExperts);
  if (at == std::string_view::npos) return "";
  stem.remove_prefix(at + kExperts.size());
  const auto [end, failed] = std::from_chars(stem.data(), stem.data() + stem.size(), expert);
  const auto digits = static_cast<size_t>(end - stem.data());
  if (failed != std::errc() || digits >= stem.size() || stem[digits] != '.') {
    expert = -1;
    return "";
  }
  return stem.substr(digits + 1);
}

}  // namespace

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& architecture : kArchitectures)
    if (architecture.name == name) return &architecture;
  return nullptr;
}

std::string known_architectures() {
  std::string text;
  for (const Architecture& architecture : kArchitectures)
    text += (text.empty() ? "" : ", ") + std::string(architecture.name);
  return text;
}

StoredTensor stored_tensor(const Architecture& architecture, std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view kind = name.substr(dot);  // ".weight" or ".bias"
  std::string_view stem = name.substr(0, dot);
  std::string prefix;
  int64_t expert = -1;
  if (stem.starts_with(kLayers)) {
    stem.remove_prefix(kLayers.size());
    const size_t end = stem.find('.');
    if (end == std::string_view::npos) return {};
    prefix = "blk." + std::string(stem.substr(0, end)) + ".";
    stem = stem.substr(end + 1);
    if (const std::string_view in_expert = cut_expert(stem, expert); expert >= 0)
      stem = translate(kInExpert, in_expert);
    else if (stem == kAfterAttention)
      stem = architecture.output_norms ? "post_attention_norm" : "ffn_norm";
    else
      stem = translate(kInLayer, stem);
  } else {
    stem = translate(kOutside, stem);
  }
  if (stem.empty()) return {};
  return {prefix + std::string(stem) + std::string(kind), expert};
}

}  // namespace dbsa::gguf
