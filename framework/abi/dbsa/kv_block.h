/* dbsa/kv_block.h - a KV block as bytes: what a backend exports and a store keeps.
 *
 * One opaque byte plane per layer, all of one size, and a descriptor that names the layout. Only
 * backends interpret the bytes.
 */
#ifndef DBSA_KV_BLOCK_H
#define DBSA_KV_BLOCK_H

#include <dbsa/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DBSA_KV_KEY_BYTES 16
#define DBSA_KV_PLANE_ALIGNMENT 64

/* Layout ids. From 0x10000 upwards they are backends' own: 0x10000 is the CUDA backend's. Never
 * reused. */
enum {
  /* [2 (K, V), kv_heads, tokens, head_dim], row-major, no padding. Keys rotated for 0..tokens-1. */
  DBSA_KV_LAYOUT_TOKEN_MAJOR = 1,
  /* Panels of `panel` tokens: plugins/attention_backend/cpu/kv_layout.h. */
  DBSA_KV_LAYOUT_CPU_PANELS = 2
};

/* Element types of KV planes. I8: int8 with scales, which begin at scale_offset. It is a type of
 * blocks: live KV of such an instance is bfloat16, and exporting quantises it. */
enum { DBSA_KV_DTYPE_F32 = 1, DBSA_KV_DTYPE_BF16 = 2, DBSA_KV_DTYPE_I8 = 3 };

typedef struct dbsa_kv_format {
  uint32_t struct_size;
  uint32_t layout; /* DBSA_KV_LAYOUT_* */
  uint32_t dtype;  /* DBSA_KV_DTYPE_* */
  uint32_t panel;  /* tokens in a panel; 0 where the layout has none */
  uint32_t layers;
  uint32_t kv_heads;
  uint32_t head_dim;
  uint32_t reserved; /* 0 */
  uint64_t tokens;
  uint64_t plane_bytes;  /* bytes of one layer's plane */
  uint64_t scale_offset; /* byte offset of quantisation scales in a plane; 0: none */
} dbsa_kv_format;
#define DBSA_KV_FORMAT_LEAST (offsetof(dbsa_kv_format, scale_offset) + sizeof(uint64_t))

#ifdef __cplusplus
}
#endif

#endif /* DBSA_KV_BLOCK_H */
