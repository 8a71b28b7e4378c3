#include "model/gguf/architecture.h"

#include <array>
#include <utility>

namespace dbsa::gguf {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"llama", ModelFamily::kLlama, "llama", true, false},
    Architecture{"qwen2", ModelFamily::kQwen2, "qwen2", false, true},
};

using Names = std::pair<std::string_view, std::string_view>;  // Hugging Face's, GGUF's

constexpr std::array<Names, 3> kOutside = {
    {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}}};
constexpr std::array<Names, 9> kInLayer = {{{"input_layernorm", "attn_norm"},
                                            {"self_attn.q_proj", "attn_q"},
                                            {"self_attn.k_proj", "attn_k"},
                                            {"self_attn.v_proj", "attn_v"},
                                            {"self_attn.o_proj", "attn_output"},
                                            {"post_attention_layernorm", "ffn_norm"},
                                            {"mlp.gate_proj", "ffn_gate"},
                                            {"mlp.up_proj", "ffn_up"},
                                            {"mlp.down_proj", "ffn_down"}}};

template <size_t count>
std::string_view translate(const std::array<Names, count>& names, std::string_view name) {
  for (const auto& [from, to] : names)
    if (from == name) return to;
  return "";
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

std::string gguf_tensor_name(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string_view kind = name.substr(dot);  // ".weight" or ".bias"
  std::string_view stem = name.substr(0, dot);
  std::string prefix;
  if (stem.starts_with(kLayers)) {
    stem.remove_prefix(kLayers.size());
    const size_t end = stem.find('.');
    if (end == std::string_view::npos) return "";
    prefix = "blk." + std::string(stem.substr(0, end)) + ".";
    stem = translate(kInLayer, stem.substr(end + 1));
  } else {
    stem = translate(kOutside, stem);
  }
  return stem.empty() ? "" : prefix + std::string(stem) + std::string(kind);
}

}  // namespace dbsa::gguf
