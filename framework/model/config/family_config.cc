#include "model/config/family_config.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace dbsa {
namespace {

using nlohmann::json;

constexpr std::array kFamilies = {
    FamilyConfig{"llama", ModelFamily::kLlama, 0, 0, 2048, 1e-6, 1e4, false, 1, 2},
    FamilyConfig{"mistral", ModelFamily::kMistral, 8, 0, 131072, 1e-6, 1e4, false, 1, 2},
    FamilyConfig{"qwen2", ModelFamily::kQwen2, 32, 0, 32768, 1e-6, 1e4, false, {}, {}},
    FamilyConfig{"qwen3", ModelFamily::kQwen3, 32, 128, 32768, 1e-6, 1e4, false, {}, {}},
    FamilyConfig{"gemma2", ModelFamily::kGemma2, 4, 256, 8192, 1e-6, 1e4, true, 2, 1},
    FamilyConfig{"gemma3_text", ModelFamily::kGemma3, 4, 256, 131072, 1e-6, 1e6, true, 2, 1},
    FamilyConfig{"smollm3", ModelFamily::kSmolLm3, 4, 0, 32768, 1e-6, 2e6, true, 128000, 128001},
    FamilyConfig{"olmo2", ModelFamily::kOlmo2, 0, 0, 2048, 1e-5, 1e4, false, {}, 50279},
    FamilyConfig{"phi3", ModelFamily::kPhi3, 0, 0, 4096, 1e-5, 1e4, false, 1, 32000},
    FamilyConfig{"granite", ModelFamily::kGranite, 0, 0, 2048, 1e-6, 1e4, false, 1, 2},
    FamilyConfig{"mixtral", ModelFamily::kMixtral, 8, 0, 131072, 1e-5, 1e6, false, 1, 2},
    FamilyConfig{"qwen3_moe", ModelFamily::kQwen3Moe, 4, 0, 32768, 1e-6, 1e4, false, {}, {}},
};

struct Refused {
  std::string_view model_type;
  std::string_view why;
};
constexpr std::string_view kRecurrent =
    "has recurrent layers, whose state depends on all tokens before in their order, so stored "
    "blocks could not be put together exactly; use a model with attention in every layer, such as "
    "Qwen3";
constexpr std::array kRefused = {
    Refused{"gpt_oss", "is not computed: experts in MXFP4; use Qwen3 or Gemma 3"},
    Refused{"mistral3", "is not computed: it reads images, too; use Mistral 7B or Qwen3"},
    Refused{"ministral3",
            "is not computed: queries are scaled by their position; use Mistral 7B or Qwen3"},
    Refused{"qwen2_moe",
            "is not computed: an expert that every token gets; use Qwen3-MoE or a dense Qwen"},
    Refused{"olmo3", "is not computed: windows with scaled RoPE; use OLMo 2"},
    Refused{"llama4", "is not computed: experts and chunked attention; use Llama 3.2 or Qwen3"},
    Refused{"llama4_text",
            "is not computed: experts and chunked attention; use Llama 3.2 or Qwen3"},
    Refused{"gemma", "is not computed: use Gemma 2 or 3"},
    Refused{"gemma3n", "is not computed: embeddings in every layer; use Gemma 3"},
    Refused{"gemma4", "is not computed: layers share keys and values; use Gemma 3"},
    Refused{"gemma4_text", "is not computed: layers share keys and values; use Gemma 3"},
    Refused{"deepseek_v2",
            "is not computed: its keys and values are compressed (MLA); use Qwen3 or Llama 3.2"},
    Refused{"deepseek_v3",
            "is not computed: its keys and values are compressed (MLA); use Qwen3 or Llama 3.2"},
    Refused{"qwen3_next", kRecurrent},
    Refused{"qwen3_5", kRecurrent},
    Refused{"qwen3_5_text", kRecurrent},
    Refused{"qwen3_5_moe", kRecurrent},
    Refused{"kimi_linear", kRecurrent},
    Refused{"granitemoehybrid", kRecurrent},
    Refused{"lfm2", kRecurrent},
    Refused{"mamba", kRecurrent},
    Refused{"mamba2", kRecurrent},
    Refused{"falcon_h1", kRecurrent},
    Refused{"jamba", kRecurrent},
    Refused{"recurrent_gemma", kRecurrent},
    Refused{"nemotron_h", kRecurrent},
};

bool is_gemma(ModelFamily family) {
  return family == ModelFamily::kGemma2 || family == ModelFamily::kGemma3;
}

bool has_experts(ModelFamily family) {
  return family == ModelFamily::kMixtral || family == ModelFamily::kQwen3Moe;
}

// One entry a layer that the file lists; empty, with a fault, where it is not.
std::vector<bool> read_layer_types(JsonReader& reader, const json& types, int64_t layers) {
  if (!types.is_array() || static_cast<int64_t>(types.size()) != layers) {
    reader.fault("layer_types", "expected a list of " + std::to_string(layers) +
                                    " names, one a layer, found " + json_excerpt(types));
    return {};
  }
  std::vector<bool> window;
  for (const json& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      reader.fault("layer_types", "expected full_attention or sliding_attention, found " +
                                      json_excerpt(type) +
                                      "; layers of another kind are not computed");
      return {};
    }
    window.push_back(type == "sliding_attention");
  }
  return window;
}

std::vector<bool> usual_window_layers(JsonReader& reader, const ModelConfig& config) {
  const ModelFamily family = config.family;
  const bool qwen = family == ModelFamily::kQwen2 || family == ModelFamily::kQwen3;
  const int64_t first = qwen ? reader.integer("max_window_layers", 28, 0, kMaxDimension) : 0;
  const int64_t period =
      family == ModelFamily::kGemma3
          ? reader.integer("sliding_window_pattern",
                           reader.integer("_sliding_window_pattern", 6, 1, kMaxDimension), 1,
                           kMaxDimension)
      : family == ModelFamily::kGemma2 ? 2
                                       : 0;
  std::vector<bool> window;
  for (int64_t i = 0; i < config.layers; ++i) {
    const auto layer = static_cast<size_t>(i);
    window.push_back(family == ModelFamily::kSmolLm3 ? config.unrotated_layers[layer]
                     : period > 0                    ? (i + 1) % period != 0
                                                     : i >= first);
  }
  return window;
}

// SmolLM3's list has 1 for layers with RoPE.
void read_unrotated_layers(JsonReader& reader, ModelConfig& config) {
  const int64_t interval = reader.integer("no_rope_layer_interval", 4, 1, kMaxDimension);
  for (int64_t i = 0; i < config.layers; ++i)
    config.unrotated_layers.push_back((i + 1) % interval == 0);
  const json* list = reader.field("no_rope_layers");
  if (list == nullptr) return;
  const bool fits =
      list->is_array() && static_cast<int64_t>(list->size()) >= config.layers &&
      std::all_of(list->begin(), list->end(), [](const json& v) { return v == 0 || v == 1; });
  if (!fits) {
    reader.fault("no_rope_layers", "expected a 0 (without RoPE) or 1 for each of " +
                                       std::to_string(config.layers) + " layers, found " +
                                       json_excerpt(*list));
    return;
  }
  for (size_t i = 0; i < config.unrotated_layers.size(); ++i)
    config.unrotated_layers[i] = (*list)[i] == 0;
}

// Of Qwen3-MoE: every decoder_sparse_step-th layer that mlp_only_layers does not name.
void read_expert_layers(JsonReader& reader, ModelConfig& config) {
  const int64_t step = reader.integer("decoder_sparse_step", 1, 1, kMaxDimension);
  std::vector<bool> layers;
  for (int64_t i = 0; i < config.layers; ++i) layers.push_back((i + 1) % step == 0);
  if (const json* dense = reader.field("mlp_only_layers")) {
    if (!dense->is_array()) {
      reader.fault("mlp_only_layers", "expected a list of layers, found " + json_excerpt(*dense));
      return;
    }
    for (const json& layer : *dense) {
      if (!layer.is_number_integer() || layer < 0 || layer >= config.layers) {
        reader.fault("mlp_only_layers", "expected layers from 0 to " +
                                            std::to_string(config.layers - 1) + ", found " +
                                            json_excerpt(layer));
        return;
      }
      layers[layer.get<size_t>()] = false;
    }
  }
  if (std::find(layers.begin(), layers.end(), false) != layers.end())
    config.expert_layers = std::move(layers);
}

double positive(JsonReader& reader, const char* key, double fallback) {
  return reader.number(key, fallback, 0);
}

// Absent: the family's; null: none.
double cap(JsonReader& reader, const char* key, double absent) {
  if (!reader.has(key)) return absent;
  return reader.field(key) == nullptr ? 0 : positive(reader, key, 1);
}

}  // namespace

const FamilyConfig* find_family(std::string_view model_type) {
  for (const FamilyConfig& family : kFamilies)
    if (family.model_type == model_type) return &family;
  return nullptr;
}

std::string known_families() {
  std::string text;
  for (const FamilyConfig& family : kFamilies)
    text += (text.empty()                                       ? ""
             : family.model_type == kFamilies.back().model_type ? " or "
                                                                : ", ") +
            std::string(family.model_type);
  return text;
}

std::string refusal(const std::string& model_type) {
  for (const Refused& refused : kRefused)
    if (refused.model_type == model_type)
      return "\"" + model_type + "\" " + std::string(refused.why);
  return "expected " + known_families() + ", found \"" + model_type +
         "\"; use a model of one of these families";
}

void read_windows(JsonReader& reader, ModelConfig& config) {
  const ModelFamily family = config.family;
  const bool qwen = family == ModelFamily::kQwen2 || family == ModelFamily::kQwen3;
  const bool qwen_moe = family == ModelFamily::kQwen3Moe;
  const bool switched = qwen || qwen_moe || family == ModelFamily::kSmolLm3;
  if (family == ModelFamily::kSmolLm3) read_unrotated_layers(reader, config);
  // With experts all layers have the window, and a list of types is refused as an unknown key.
  const json* types = has_experts(family) ? nullptr : reader.field("layer_types");
  std::vector<bool> layers = usual_window_layers(reader, config);
  if (types != nullptr) {
    layers = read_layer_types(reader, *types, config.layers);
    if (layers.empty()) return;
  }

  const bool windowless = family == ModelFamily::kLlama || family == ModelFamily::kOlmo2 ||
                          family == ModelFamily::kGranite;
  const bool has_default = family == ModelFamily::kMistral || qwen || qwen_moe || is_gemma(family);
  const bool used = reader.boolean("use_sliding_window", !switched);
  const bool given = reader.field("sliding_window") != nullptr;
  const int64_t window = reader.integer("sliding_window", 4096, 1, kMaxDimension);
  const bool some = std::find(layers.begin(), layers.end(), true) != layers.end();
  if (!some) config.window_rope.reset();
  if (windowless) {
    if (given)
      reader.fault("sliding_window", "unsupported key with value " + std::to_string(window) +
                                         "; models of type " + config.model_type +
                                         " have no window: remove it");
    if (types != nullptr && some)
      reader.fault("layer_types", "expected full_attention, found \"sliding_attention\"");
    return;
  }
  if (used && some && (given || (has_default && !reader.has("sliding_window")))) {
    config.sliding_window = window;
    if (std::find(layers.begin(), layers.end(), false) != layers.end())
      config.window_layers = std::move(layers);
  } else if (some && (types != nullptr || is_gemma(family)) && used) {
    reader.fault("sliding_window", "is missing, expected the width of the layers' windows");
  } else if (some && types != nullptr) {
    reader.fault("layer_types",
                 "expected full_attention, as use_sliding_window is false, found "
                 "\"sliding_attention\"");
  }
}

void read_experts(JsonReader& reader, ModelConfig& config) {
  if (!has_experts(config.family)) return;
  const bool qwen = config.family == ModelFamily::kQwen3Moe;
  ExpertConfig& experts = config.experts;
  // transformers takes either name.
  const std::string usual = qwen ? "num_experts" : "num_local_experts",
                    other = qwen ? "num_local_experts" : "num_experts";
  const std::string& count = reader.has(usual) || !reader.has(other) ? usual : other;
  experts.count = reader.integer(count, qwen ? 128 : 8, 1, kMaxLayerExperts);
  if (experts.count > kMaxExperts / config.layers)
    reader.fault(count, "expected at most " + std::to_string(kMaxExperts) +
                            " experts in all layers, found " + std::to_string(experts.count) +
                            " in each of " + std::to_string(config.layers) +
                            "; use a smaller model");
  experts.used = reader.integer("num_experts_per_tok", qwen ? 8 : 2, 1, experts.count);
  experts.intermediate_size = config.intermediate_size;
  experts.normalised = true;
  if (!qwen) return;
  experts.intermediate_size = reader.integer("moe_intermediate_size", 768, 1, kMaxDimension);
  experts.normalised = reader.boolean("norm_topk_prob", false);
  read_expert_layers(reader, config);
}

void read_family_keys(JsonReader& reader, ModelConfig& config) {
  const ModelFamily family = config.family;
  if (is_gemma(family)) {
    reader.expect("hidden_activation", "gelu_pytorch_tanh",
                  "only GELU (tanh) models are supported");
    reader.expect("hidden_act", "gelu_pytorch_tanh", "only GELU (tanh) models are supported");
    reader.expect("use_bidirectional_attention", false, "only causal models are supported");
    config.attention_scale = 1 / std::sqrt(positive(reader, "query_pre_attn_scalar", 256));
    const bool second = family == ModelFamily::kGemma2;
    config.attention_soft_cap = cap(reader, "attn_logit_softcapping", second ? 50 : 0);
    config.logit_soft_cap = cap(reader, "final_logit_softcapping", second ? 30 : 0);
    config.norm_plus_one = true;
    config.embedding_multiplier = std::sqrt(static_cast<double>(config.hidden_size));
    return;
  }
  reader.expect("hidden_act", "silu", "only SiLU models are supported");
  if (family == ModelFamily::kPhi3)
    reader.expect("lm_head_bias", false, "models of this type do not have this bias");
  if (family == ModelFamily::kGranite) {
    config.attention_scale = positive(reader, "attention_multiplier", 1);
    config.embedding_multiplier = positive(reader, "embedding_multiplier", 1);
    config.residual_multiplier = positive(reader, "residual_multiplier", 1);
    config.logits_scaling = positive(reader, "logits_scaling", 1);
  }
}

}  // namespace dbsa
