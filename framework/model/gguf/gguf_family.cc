#include "model/gguf/gguf_family.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/config/json_reader.h"

namespace dbsa::gguf {
namespace {

int64_t read_window(ConfigReader& reader, int64_t absent) {
  return reader.keys.integer(reader.key("attention.sliding_window"), absent, 0, kMaxDimension);
}

// Early converters left out the key. llama.cpp then took Phi-3-mini-4k and
// Phi-3-medium-4k for these shapes, whose window is 2,047 (ggml-org/llama.cpp pull 8931). Windows
// of the other Phi-3 models are no narrower than their positions.
int64_t unsaid_window(const ModelConfig& config) {
  const bool of_4k = config.family == ModelFamily::kPhi3 && config.max_position_embeddings == 4096;
  return of_4k && (config.layers == 32 || config.layers == 40) ? 2047 : 0;
}

// Which layers have the window: as the file lists them, or all but the last of each period.
std::vector<bool> read_window_layers(ConfigReader& reader, int64_t period) {
  const std::string name = reader.key("attention.sliding_window_pattern");
  const Key* key = reader.keys.field(name);
  const auto layers = static_cast<size_t>(reader.config.layers);
  if (key != nullptr && std::holds_alternative<Array>(key->value)) {
    const size_t faults = reader.faults.size();
    std::vector<bool> listed = reader.keys.booleans(name);
    if (reader.faults.size() == faults && listed.size() != layers)
      reader.keys.fault(name, "expected true or false for each of " + std::to_string(layers) +
                                  " layers, found " + std::to_string(listed.size()) +
                                  "; fetch the file again");
    return listed;
  }
  period = reader.keys.integer(name, period, 1, kMaxDimension);
  std::vector<bool> local;
  for (int64_t i = 0; i < reader.config.layers; ++i) local.push_back((i + 1) % period != 0);
  return local;
}

void set_windows(ModelConfig& config, int64_t window, std::vector<bool> layers) {
  if (window == 0 || std::find(layers.begin(), layers.end(), true) == layers.end()) return;
  config.sliding_window = window;
  if (std::find(layers.begin(), layers.end(), false) != layers.end())
    config.window_layers = std::move(layers);
}

// Layers with a window have their own RoPE, which is not scaled.
void read_gemma3_windows(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  const int64_t window = read_window(reader, 0);
  set_windows(config, window, read_window_layers(reader, 6));
  RopeParameters local;
  local.head_dim = config.rope.head_dim;
  local.theta = reader.keys.number(reader.key("rope.freq_base_swa"), 10000.0, 1);
  if (config.sliding_window) config.window_rope = local;
}

double read_cap(ConfigReader& reader, const char* name, double absent) {
  return reader.keys.number(reader.key(name), absent, 0);
}

void read_gemma(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  const bool second = config.family == ModelFamily::kGemma2;
  // The norms' weights have the 1 in the file. There is no key for the scale of scores: in the 27B
  // model, which is known by its layers, it is 1 / sqrt(hidden_size / heads).
  const double width = static_cast<double>(config.hidden_size) / static_cast<double>(config.heads);
  if (config.layers == (second ? 46 : 62)) config.attention_scale = 1 / std::sqrt(width);
  config.embedding_multiplier = std::sqrt(static_cast<double>(config.hidden_size));
  config.logit_soft_cap = read_cap(reader, "final_logit_softcapping", second ? 30 : 0);
  if (!second) return read_gemma3_windows(reader);
  config.attention_soft_cap = read_cap(reader, "attn_logit_softcapping", 50);
  const int64_t window = read_window(reader, 4096);
  set_windows(config, window, read_window_layers(reader, 2));
}

void read_granite(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  // Without this key transformers and llama.cpp differ, so it is not guessed at.
  config.attention_scale = reader.keys.number(reader.key("attention.scale"), std::nullopt, 0);
  config.embedding_multiplier = reader.keys.number(reader.key("embedding_scale"), 1, 0);
  config.residual_multiplier = reader.keys.number(reader.key("residual_scale"), 1, 0);
  config.logits_scaling = reader.keys.number(reader.key("logit_scale"), std::nullopt, 0);
}

}  // namespace

void read_gguf_family(ConfigReader& reader) {
  ModelConfig& config = reader.config;
  // In Granite's files it says whether there is RoPE at all; elsewhere it changes nothing.
  const std::string finetuned = reader.key("rope.scaling.finetuned");
  const bool rotated = reader.keys.boolean(finetuned).value_or(true);
  switch (config.family) {
    case ModelFamily::kGemma2:
    case ModelFamily::kGemma3:
      return read_gemma(reader);
    case ModelFamily::kGranite:
      if (!rotated)
        reader.keys.fault(finetuned,
                          "expected true, found false: layers without RoPE are not computed for "
                          "this architecture; use a Granite 3 model");
      return read_granite(reader);
    case ModelFamily::kSmolLm3:
      for (int64_t i = 0; i < config.layers; ++i)
        config.unrotated_layers.push_back((i + 1) % 4 == 0);
      return;
    case ModelFamily::kOlmo2:
      if (const int64_t window = read_window(reader, 0); window > 0)
        reader.keys.fault(reader.key("attention.sliding_window"),
                          "expected none, found " + std::to_string(window) +
                              ": this is OLMo 3, which is not computed; use OLMo 2");
      return;
    case ModelFamily::kLlama:
    case ModelFamily::kMixtral:
    case ModelFamily::kQwen2:
    case ModelFamily::kPhi3:
      if (const int64_t window = read_window(reader, unsaid_window(config)); window > 0)
        config.sliding_window = window;
      return;
    default:
      return;
  }
}

}  // namespace dbsa::gguf
