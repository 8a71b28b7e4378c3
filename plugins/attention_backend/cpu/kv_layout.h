// The CPU_PANELS layout of a KV plane (one layer), revision 1.
//
//   plane  = for each KV head: its keys, then its values
//   keys   = [panels][head_dim][16 tokens]             float32
//            [panels][head_dim / 2][16 tokens][2]      bfloat16: two dimensions side by side
//   values = [panels * 16 tokens][v_width]             float32
//            [panels * 8][v_width][2]                  bfloat16: two tokens side by side
//
// A panel holds 16 tokens (dbsa_kv_format.panel); panels = tokens / 16 rounded up; v_width is
// head_dim rounded up to 16. Whatever lies beyond tokens or head_dim is zero. Keys are rotated for
// their own index. Both halves are right-hand matrices as kernels.h wants them: keys with tokens as
// columns, values with dimensions as columns, the reduction ascending in memory, so attention
// streams a head's bytes from first to last. Every part is a multiple of 64 bytes.
#pragma once

#include <dbsa/kv_block.h>

#include <cstdint>

namespace dbsa::cpu {

constexpr int64_t kPanel = 16;

struct KvLayout {
  int64_t head_dim = 0;
  int64_t kv_heads = 0;
  bool bf16 = false;

  int64_t element_bytes() const { return bf16 ? 2 : 4; }
  int64_t v_width() const { return (head_dim + 15) / 16 * 16; }
  static int64_t padded(int64_t tokens) { return (tokens + kPanel - 1) / kPanel * kPanel; }
  int64_t key_bytes(int64_t tokens) const { return padded(tokens) * head_dim * element_bytes(); }
  int64_t value_bytes(int64_t tokens) const { return padded(tokens) * v_width() * element_bytes(); }
  int64_t head_bytes(int64_t tokens) const { return key_bytes(tokens) + value_bytes(tokens); }
  int64_t plane_bytes(int64_t tokens) const { return kv_heads * head_bytes(tokens); }

  // Element index of a token's dimension within a head's keys or values.
  int64_t key_index(int64_t token, int64_t dimension) const {
    const int64_t panel = token / kPanel * head_dim * kPanel;
    const int64_t lane = token % kPanel;
    return bf16 ? panel + dimension / 2 * (2 * kPanel) + lane * 2 + dimension % 2
                : panel + dimension * kPanel + lane;
  }
  int64_t value_index(int64_t token, int64_t dimension) const {
    return bf16 ? token / 2 * (2 * v_width()) + dimension * 2 + token % 2
                : token * v_width() + dimension;
  }

  // Writes one head's row of a token, key (rotated already) or value; rounds to the KV type.
  void write_key(void* head, int64_t token, const float* key) const;
  void write_value(void* values, int64_t token, const float* value) const;
  // Copies the first `tokens` tokens of a plane that holds `source_tokens` or more, padding zeroed.
  void copy_prefix(const void* source, int64_t source_tokens, int64_t tokens, void* plane) const;
  // One plane as token-major float32, [2, kv_heads, tokens, head_dim].
  void to_token_major(const void* plane, int64_t tokens, float* destination) const;
};

}  // namespace dbsa::cpu
