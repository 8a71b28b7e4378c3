// What a decoder computes, layer by layer. Loading, passes, costs and the fingerprint follow this
// description; where it comes from (config.json, keys of a GGUF file) they do not ask.
//
//   x = embedding(ids) * embedding_multiplier
//   each layer:  h = norm(x)?;  q, k, v = linear(h);  q, k = norm(q), norm(k)?;  KV <- (rope(k), v)
//                x += norm(linear(attention(q, plan)))? * residual_multiplier
//                x += norm(mlp(norm(x)?))? * residual_multiplier
//     mlp(h) = down(activation(gate(h)) * up(h)), or the shares of those that a router gives a row
//   logits = soft_cap(linear(norm(x)) * logit_multiplier)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config/model_config.h"

namespace dbsa {

enum class Activation { kSilu, kGeluTanh };

// RMSNorm of queries and keys before they are rotated: of each head, or of all heads together.
enum class QkNorm { kNone, kHead, kWhole };

// What layers may differ by in attention. Layers of equal types share a plan.
struct AttentionType {
  int64_t rope = 0;     // index in ModelSpec::ropes; -1: nothing is rotated
  int64_t window = 0;   // a row sees tokens at a distance below this; 0: all
  double scale = 0;     // of the scores, RoPE's magnitude apart
  double soft_cap = 0;  // c: a score s becomes c tanh(s / c); 0: none
  bool operator==(const AttentionType&) const = default;
};

struct LayerSpec {
  bool attention_norm = true;          // before attention
  bool attention_output_norm = false;  // on its output, before the sum
  bool mlp_norm = true;
  bool mlp_output_norm = false;
  QkNorm qk_norm = QkNorm::kNone;
  Activation activation = Activation::kSilu;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool experts = false;   // instead of one MLP, see ModelSpec::experts
  int64_t attention = 0;  // index in ModelSpec::attention_types
};

struct ModelSpec {
  ModelFamily family = ModelFamily::kLlama;
  std::string model_type;
  int64_t hidden_size = 0, intermediate_size = 0, vocab_size = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double rms_norm_eps = 0;
  bool tied_head = false;
  bool norm_plus_one = false;  // norm weights are given as w and mean 1 + w
  bool fused_qkv = false;      // one tensor: rows of q, of k, of v
  bool fused_gate_up = false;  // one tensor: rows of gate, of up
  double embedding_multiplier = 1;
  bool rounds_embedding_multiplier = false;  // to the type of the stored embedding, if of 16 bits
  double residual_multiplier = 1;
  double logit_multiplier = 1;
  double logit_soft_cap = 0;  // 0: none
  ExpertConfig experts;       // of the layers that have them
  std::vector<RopeParameters> ropes;
  std::vector<AttentionType> attention_types;  // each of some layer
  std::vector<LayerSpec> layers;

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
};

ModelSpec make_model_spec(const ModelConfig& config);

// Everything of it that decides the values computed, RoPE apart (rope_identity) and layers' windows
// and rotation where the model is of a family that had none (layer_identity), as text.
std::string spec_identity(const ModelSpec& spec);
// Windows and RoPE of the layers as text; "" where all layers are alike and see everything.
std::string layer_identity(const ModelSpec& spec);

// The frequencies of an attention type, [head_dim / 2]: 0 for pairs that are not rotated.
std::vector<float> pair_frequencies(const ModelSpec& spec, const AttentionType& type);
// What multiplies cosine and sine of each pair, [head_dim / 2]; empty: 1.
std::vector<float> pair_factors(const ModelSpec& spec, const AttentionType& type);

// Where only the first dimensions of a head are rotated, their halves are paired and the rest
// passes. Rows of q and k are then brought to an order in which halves of the whole head pair: row
// i of a head is row order[i] of the checkpoint. Empty: as they are.
std::vector<int64_t> rotary_order(const ModelSpec& spec);

}  // namespace dbsa
