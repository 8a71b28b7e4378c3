// Rotary position embedding: which frequencies a model uses.
//
// Pair i of a head (elements i and i + head_dim / 2) is turned by position * inv_freq[i] radians.
// Kinds: default (arXiv 2104.09864), linear (arXiv 2306.15595), llama3 (Llama 3.1's scaling by
// wavelength), yarn (arXiv 2309.00071), longrope (arXiv 2402.13753). inv_freq is float32, each step
// rounded as transformers 4.46 rounds it, because that is what checkpoints are trained and judged
// with; form position * inv_freq in double.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dbsa {

enum class RopeKind { kDefault, kLinear, kLlama3, kYarn, kLongRope };

struct RopeParameters {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  int64_t head_dim = 0;  // even
  // The rest is read where the kind uses it.
  double factor = 1.0;                                   // linear, llama3, yarn
  int64_t original_max_position_embeddings = 0;          // llama3, yarn
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  std::optional<double> attention_factor = {};           // yarn; default 0.1 ln(factor) + 1
  // longrope. Which of the two divides inverse frequencies is chosen once, by how far prompts reach
  // (limit_positions): stored keys must be turned as queries are.
  std::vector<float> short_factors = {}, long_factors = {};  // [head_dim / 2]
  double rotation_factor = 1.0;  // of cosine and sine, so of what is rotated only
  // [head_dim / 2]: inverse frequency i of any kind is divided by element i, as GGUF files give
  // Llama 3's scaling; empty: none is.
  std::vector<float> divisors = {};
};

// [head_dim / 2].
std::vector<float> rope_inverse_frequencies(const RopeParameters& rope);

// Multiplies the rotated query and the rotated key once each, so scores by its square. 1 except for
// yarn.
double rope_attention_factor(const RopeParameters& rope);

// "default", "linear", "llama3", "yarn", "longrope".
const char* rope_kind_name(RopeKind kind);

// Every value that the rotation depends on, as text; equal texts rotate equally.
std::string rope_identity(const RopeParameters& rope);

}  // namespace dbsa
