// The CPU_PANELS layout of a KV plane (one layer), revision 1.
//
//   plane  = for each KV head: its keys, then its values
//            int8: then for each KV head: the scales of its keys, then those of its values
//   keys   = [panels][head_dim][16 tokens]             float32, int8
//            [panels][head_dim / 2][16 tokens][2]      bfloat16: two dimensions side by side
//   values = [panels * 16 tokens][v_width]             float32, int8
//            [panels * 8][v_width][2]                  bfloat16: two tokens side by side
//   scales = [panels][head_dim / 16, for values 32, rounded up][16 tokens] bfloat16
//
// A panel holds 16 tokens (dbsa_kv_format.panel); panels = tokens / 16 rounded up; v_width is
// head_dim rounded up to 16. Everything beyond tokens or head_dim is zero. Keys are rotated for
// their own index. Both halves are right-hand matrices as kernels.h wants them: keys with tokens as
// columns, values with dimensions as columns, the reduction ascending in memory, so attention
// streams a head's bytes from first to last. Every part is a multiple of 64 bytes, except int8 keys
// and scales, which are multiples of 32.
//
// int8: a number is bfloat16(int8 * scale), where some dimensions of one token share a scale, fewer
// of a key than of a value: a label changes for a wrong key far sooner. KIVI lets tokens share the
// scale of a key's dimension, and adds an offset; both were tried and changed as many labels.
#pragma once

#include "kernels.h"

#include <dbsa/kv_block.h>

#include <cstdint>

namespace dbsa::cpu {

constexpr int64_t kPanel = 16;

enum class KvType { kF32, kBf16, kInt8 };

struct KvLayout {
  int64_t head_dim = 0;
  int64_t kv_heads = 0;
  KvType type = KvType::kF32;

  int64_t element_bytes() const { return type == KvType::kF32 ? 4 : type == KvType::kBf16 ? 2 : 1; }
  int64_t v_width() const { return (head_dim + 15) / 16 * 16; }
  // Scales of a token's key, and of its value.
  int64_t key_scales() const { return scales(kScaledKeys); }
  int64_t value_scales() const { return scales(kScaledValues); }
  int64_t scales(int64_t group) const {
    return type == KvType::kInt8 ? (head_dim + group - 1) / group : 0;
  }
  static int64_t padded(int64_t tokens) { return (tokens + kPanel - 1) / kPanel * kPanel; }
  int64_t key_bytes(int64_t tokens) const { return padded(tokens) * head_dim * element_bytes(); }
  int64_t value_bytes(int64_t tokens) const { return padded(tokens) * v_width() * element_bytes(); }
  int64_t head_bytes(int64_t tokens) const { return key_bytes(tokens) + value_bytes(tokens); }
  int64_t key_scale_bytes(int64_t tokens) const { return padded(tokens) * key_scales() * 2; }
  int64_t value_scale_bytes(int64_t tokens) const { return padded(tokens) * value_scales() * 2; }
  int64_t scale_bytes(int64_t tokens) const {
    return key_scale_bytes(tokens) + value_scale_bytes(tokens);
  }
  // Where the scales of head 0 begin.
  int64_t scale_offset(int64_t tokens) const {
    return (kv_heads * head_bytes(tokens) + DBSA_KV_PLANE_ALIGNMENT - 1) / DBSA_KV_PLANE_ALIGNMENT *
           DBSA_KV_PLANE_ALIGNMENT;
  }
  int64_t plane_bytes(int64_t tokens) const {
    return scale_offset(tokens) + kv_heads * scale_bytes(tokens);
  }

  // Where the parts of one head begin in a plane of that many tokens, in bytes. Without scales
  // those of the scales mean nothing.
  struct Head {
    int64_t keys;
    int64_t values;
    int64_t key_scales;
    int64_t value_scales;
  };
  Head head(int64_t tokens, int64_t kv_head) const {
    const int64_t keys = kv_head * head_bytes(tokens);
    const int64_t scales = scale_offset(tokens) + kv_head * scale_bytes(tokens);
    return {keys, keys + key_bytes(tokens), scales, scales + key_scale_bytes(tokens)};
  }

  // Writes the converted elements of one head's key (rotated already) and value, and their scales.
  struct Row {
    const void* key;    // [head_dim] float, bfloat16 or int8
    const void* value;  // likewise
    const uint16_t* key_scales;
    const uint16_t* value_scales;
  };
  void write(void* plane, int64_t tokens, int64_t kv_head, int64_t token, const Row& row) const;
  // One head's key or value of a token, [head_dim] float32. Of bfloat16 only.
  void read_key(const void* plane, int64_t tokens, int64_t kv_head, int64_t token,
                float* key) const;
  void read_value(const void* plane, int64_t tokens, int64_t kv_head, int64_t token,
                  float* value) const;
  // Copies the first `tokens` tokens of a plane that holds `source_tokens` or more, padding zeroed.
  void copy_prefix(const void* source, int64_t source_tokens, int64_t tokens, void* plane) const;
  // One plane as token-major float32, [2, kv_heads, tokens, head_dim].
  void to_token_major(const void* plane, int64_t tokens, float* destination) const;

  // Element index of a token's dimension within a head's keys or values, and of a token's scale
  // within its scales.
  int64_t key_index(int64_t token, int64_t dimension) const {
    const int64_t panel = token / kPanel * head_dim * kPanel;
    const int64_t lane = token % kPanel;
    return type == KvType::kBf16 ? panel + dimension / 2 * (2 * kPanel) + lane * 2 + dimension % 2
                                 : panel + dimension * kPanel + lane;
  }
  int64_t value_index(int64_t token, int64_t dimension) const {
    return type == KvType::kBf16 ? token / 2 * (2 * v_width()) + dimension * 2 + token % 2
                                 : token * v_width() + dimension;
  }
  static int64_t scale_index(int64_t token, int64_t scale, int64_t scales) {
    return (token / kPanel * scales + scale) * kPanel + token % kPanel;
  }
};

}  // namespace dbsa::cpu
