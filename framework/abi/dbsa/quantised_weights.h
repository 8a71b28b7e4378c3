/* dbsa/quantised_weights.h - an extension of attention backends: weights that stay quantised.
 *
 * A backend that computes with the blocks of GGUF files returns a dbsa_quantised_weights for the id
 * below (see dbsa_plugin_table.extension). The weights it makes go where all others go: into
 * `linear`, `gated_mlp`, `embedding`, weight_packed and weight_destroy; weight_adopt takes what
 * weight_packed gave of them. From any other backend the framework keeps the decoded numbers.
 *
 * The arithmetic is that of DBSA_COMPUTE_BF16 on the decoded numbers: each element of a block is
 * decoded to float32, as the reference of the format does, and rounded to bfloat16; activations are
 * rounded to bfloat16; sums are float32. Rows do not depend on other rows, as everywhere.
 */
#ifndef DBSA_QUANTISED_WEIGHTS_H
#define DBSA_QUANTISED_WEIGHTS_H

#include <dbsa/attention_backend.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DBSA_EXTENSION_QUANTISED_WEIGHTS "dbsa.backend.quantised/1"

/* Types of blocks, numbered as in GGUF files. Elements of a block and its bytes: */
enum {
  DBSA_BLOCKS_Q4_0 = 2,  /* 32, 18 */
  DBSA_BLOCKS_Q4_1 = 3,  /* 32, 20 */
  DBSA_BLOCKS_Q5_0 = 6,  /* 32, 22 */
  DBSA_BLOCKS_Q5_1 = 7,  /* 32, 24 */
  DBSA_BLOCKS_Q8_0 = 8,  /* 32, 34 */
  DBSA_BLOCKS_Q4_K = 12, /* 256, 144 */
  DBSA_BLOCKS_Q5_K = 13, /* 256, 176 */
  DBSA_BLOCKS_Q6_K = 14, /* 256, 210 */
  DBSA_BLOCKS_MXFP4 = 39 /* 32, 17 */
};

typedef struct dbsa_quantised_weights {
  uint32_t struct_size;
  uint32_t type_count;   /* 1..64 */
  const uint32_t* types; /* [type_count]: DBSA_BLOCKS_* that weight_create takes, each once */
  /* Makes a weight [rows, width] of an instance configured with DBSA_COMPUTE_BF16 from `bytes`
   * bytes of blocks, row by row, at any address. use: DBSA_WEIGHT_LINEAR, which copies them, or
   * DBSA_WEIGHT_EMBEDDING, which may keep reading them where they are; they must outlive it. Scales
   * are finite. width is a multiple of a block's elements. [setup] */
  int32_t (*weight_create)(void* instance, int32_t use, uint32_t type, int64_t rows, int64_t width,
                           const void* blocks, uint64_t bytes, dbsa_weight** weight,
                           dbsa_error* error);
} dbsa_quantised_weights;
#define DBSA_QUANTISED_WEIGHTS_LEAST \
  (offsetof(dbsa_quantised_weights, weight_create) + sizeof(void*))

#ifdef __cplusplus
}
#endif

#endif /* DBSA_QUANTISED_WEIGHTS_H */
