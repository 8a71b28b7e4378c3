// What config.json of a Hugging Face model folder says of a decoder. What is computed from it is
// model_spec.h's.
//
// Absent keys take transformers' defaults for their model_type where those change the result
// (Mistral: num_key_value_heads 8, sliding_window 4096; see family_config.h). Sizes are always
// required. Where transformers' versions disagree the file is refused unless its meaning is plain:
// a Mistral file's rope_scaling, which 4.46 passes over, is honoured as by later versions. A key
// that is neither used nor known to leave the logits unchanged is a fault, never ignored.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config/rope.h"

namespace dbsa {

enum class ModelFamily {
  kLlama,
  kMistral,
  kQwen2,
  kQwen3,
  kGemma2,
  kGemma3,
  kSmolLm3,
  kOlmo2,
  kPhi3,
  kGranite,
  kMixtral,
  kQwen3Moe,
};

// Beyond these a model is refused before a list of its tensors takes memory.
inline constexpr int64_t kMaxLayerExperts = 65'536;  // of one layer
inline constexpr int64_t kMaxExperts = 262'144;      // of all layers

// MLPs of which a router gives each token some.
struct ExpertConfig {
  int64_t count = 0;  // 0: the model has none
  int64_t used = 0;   // of each token, 1..count
  int64_t intermediate_size = 0;
  bool normalised = false;  // the router's shares are divided by their sum over those used
};

struct ModelConfig {
  ModelFamily family = ModelFamily::kLlama;
  std::string model_type;  // "llama", "gemma3_text", ...
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;  // even; heads * head_dim need not be hidden_size
  int64_t vocab_size = 0;
  double rms_norm_eps = 0;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;     // q_proj, k_proj, v_proj
  bool output_bias = false;  // o_proj
  bool mlp_bias = false;     // gate_proj, up_proj, down_proj
  RopeParameters rope;
  int64_t max_position_embeddings = 0;  // as written
  // The number of positions the model handles, counting what linear and yarn RoPE add: distances
  // must stay below it.
  int64_t max_positions = 0;
  // If set, a row sees only tokens at a distance below this, in the layers of window_layers.
  std::optional<int64_t> sliding_window;
  std::vector<bool> window_layers;            // [layers]; empty: all
  std::optional<RopeParameters> window_rope;  // of those layers; else they have `rope`
  std::vector<bool> unrotated_layers;         // [layers]; empty: none
  std::optional<double> attention_scale;      // of the scores; else 1 / sqrt(head_dim)
  double attention_soft_cap = 0;              // of the scores; 0: none
  double logit_soft_cap = 0;
  bool norm_plus_one = false;  // norm weights are given as w and mean 1 + w
  double embedding_multiplier = 1;
  double residual_multiplier = 1;  // of what attention and the MLP add
  double logits_scaling = 1;       // logits are divided by it
  ExpertConfig experts;
  std::vector<bool> expert_layers;  // [layers]; empty: all, where there are experts
  std::optional<int64_t> bos_token_id;
  // That of config.json, or its default, where the tokenizer names another one.
  std::optional<int64_t> replaced_bos_token_id;
  std::vector<int64_t> eos_token_ids;  // of both files; may be empty
  // What the files ask of text generation and greedy decoding does not do, as
  // "generation_config.json: repetition_penalty = 1.1".
  std::vector<std::string> ignored_generation;
  std::string torch_dtype;  // "" if not said
};

// How far prompts may reach: at most `positions`, and no farther than the model's; 0: as far as
// those. LongRoPE has its long factors iff that is beyond the context it was first trained with,
// for prompts of every length: stored keys must fit all of them.
void limit_positions(ModelConfig& config, int64_t positions);

// Reads <folder>/config.json, and generation_config.json beside it where it is there (see
// generation_config.h). Fails with kEnvironment if a file cannot be read or is not JSON, with
// kConfig for its faults: all of them, one a line, each "file: /key: what".
Result<ModelConfig> load_model_config(const std::string& folder);

// The same for JSON text that is at hand; file is the name for messages.
Result<ModelConfig> parse_model_config(const std::string& file, const std::string& text);

}  // namespace dbsa
