// The oracle: a Llama-family forward pass in double precision with a dense mask.
//
// Dumb on purpose: plain loops over plain vectors. It uses only the file reader of the engine.
// Matrices are row-major vectors; L tokens.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/reference/oracle_rope.h"

namespace dbsa::reference {

using Matrix = std::vector<double>;
using Mask = std::vector<unsigned char>;  // [rows, tokens], 1 = the row sees the token

struct OracleOptions {
  bool round_weights_to_bf16 = false;  // nearest, ties to even
};

// Keys and values of one layer, [L, kv_heads * head_dim].
struct OracleKv {
  Matrix keys;          // not rotated
  Matrix rotated_keys;  // at the positions given, magnitude included
  Matrix values;
};

class OracleModel {
 public:
  // Reads config.json and the weights. Only for valid folders: the checks are the engine's.
  static Result<OracleModel> load(const std::string& folder, const OracleOptions& options = {});

  // ids, positions: [L]; mask: [L, L]. Returns [L, vocabulary]. kv, if given, gets one entry a
  // layer.
  Matrix logits(const std::vector<int32_t>& ids, const std::vector<int64_t>& positions,
                const Mask& mask, std::vector<OracleKv>* kv = nullptr) const;

  // The residual stream after the first `layers` layers, [L, hidden_size], no norm applied.
  Matrix hidden_states(const std::vector<int32_t>& ids, const std::vector<int64_t>& positions,
                       const Mask& mask, int64_t layers, std::vector<OracleKv>* kv = nullptr) const;

  int64_t vocabulary() const { return vocabulary_; }
  int64_t layers() const { return layers_; }
  int64_t hidden_size() const { return hidden_; }
  int64_t heads() const { return heads_; }
  int64_t kv_heads() const { return kv_heads_; }
  int64_t head_dim() const { return rope.head_dim; }

  // Open to change, for tests that must fail with a wrong one.
  OracleRope rope;
  // The frequencies themselves, [head_dim / 2], instead of those of `rope`: at position 30,000 one
  // unit in the last place of a float32 frequency turns a head by 1e-3, so a comparison there needs
  // equal ones. Empty: not given.
  std::vector<double> frequencies;

 private:
  Matrix linear(const Matrix& x, const std::string& name, int64_t in, int64_t out) const;
  Matrix rms_norm(const Matrix& x, const std::string& name) const;

  std::map<std::string, Matrix> weights_;
  int64_t vocabulary_ = 0, layers_ = 0, heads_ = 0, kv_heads_ = 0, hidden_ = 0, wide_ = 0;
  double epsilon_ = 0;
  bool tied_ = false;
};

// Position p of row i is i; row i sees tokens 0..i.
std::vector<int64_t> plain_positions(int64_t tokens);
Mask causal_mask(int64_t tokens);

// x: [rows, heads * head_dim], turned in place.
void oracle_rotate(Matrix& x, const std::vector<int64_t>& positions, int64_t heads,
                   const std::vector<double>& frequencies, double magnitude);

struct OracleAttention {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 0;                 // of the scores
  std::vector<double> frequencies;  // [head_dim / 2]
  double magnitude = 1.0;
};

// q: [rows, heads * head_dim], k and v: [tokens, kv_heads * head_dim], none rotated.
// visible: [rows, tokens]; every row sees at least one. Returns [rows, heads * head_dim].
Matrix oracle_attention(const OracleAttention& shape, Matrix q,
                        const std::vector<int64_t>& q_positions, Matrix k, const Matrix& v,
                        const std::vector<int64_t>& k_positions, const Mask& visible);

// Of float32 to bfloat16, nearest, ties to even, widened again.
float round_to_bf16(float value);

}  // namespace dbsa::reference
