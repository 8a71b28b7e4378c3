// Shapes and rows of the attention op, in plain memory.
#pragma once

#include <dbsa/attention_backend.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace dbsa::test {

struct Shape {
  int32_t layers = 1;
  int32_t query_heads = 4;
  int32_t kv_heads = 2;
  int32_t head_dim = 64;
  uint32_t compute = DBSA_COMPUTE_F32;
  uint32_t kv_dtype = DBSA_KV_DTYPE_F32;
  float scale = 0.125f;
  float theta = 10000.0f;
  bool rope = true;     // false: nothing is rotated, every frequency is 0
  int32_t rotated = 0;  // dimensions; 0: all. The others have frequency 0
  float soft_cap = 0;
  std::vector<float> factor;  // [head_dim / 2]; empty: 1
  std::vector<float> sink;    // [query_heads]; empty: none
  // Types after this one, of which scale to sink are read. Layer i is of type i modulo their
  // number.
  std::vector<Shape> other_types;

  int64_t query_width() const { return int64_t{query_heads} * head_dim; }
  int64_t kv_width() const { return int64_t{kv_heads} * head_dim; }
  std::vector<float> inv_freq() const {
    if (!rope) return std::vector<float>(static_cast<size_t>(head_dim) / 2, 0.0f);
    std::vector<float> values;
    for (int i = 0; i < head_dim / 2; ++i) {
      values.push_back(
          1.0f / std::pow(theta, 2.0f * static_cast<float>(i) / static_cast<float>(head_dim)));
      if (rotated > 0 && i >= rotated / 2) values.back() = 0.0f;
    }
    return values;
  }
};

using Rows = std::vector<float>;

inline bool same_bits(const Rows& a, const Rows& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// K and V of one KV object, [tokens, kv_width]. K as it was given, or, where a test takes it back
// from the backend, rotated for the index in the object and rounded to the KV type.
struct PlainKv {
  Rows k;
  Rows v;
  int64_t tokens = 0;
  bool rotated = false;

  int64_t tokens_held(const Shape& shape) const {
    return static_cast<int64_t>(k.size()) / shape.kv_width();
  }
};

}  // namespace dbsa::test
