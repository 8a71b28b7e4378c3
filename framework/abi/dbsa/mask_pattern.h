/* dbsa/mask_pattern.h - what each block sees while the pool is encoded.
 *
 * A pattern never builds a dense mask. For one block at a time it emits segments: token ranges of
 * blocks, in pool order, that the block's rows may see. Where those ranges stand (their positions)
 * is the framework's affair, so one pattern serves every positioning.
 */
#ifndef DBSA_MASK_PATTERN_H
#define DBSA_MASK_PATTERN_H

#include <dbsa/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the rows of a plan see a segment. Values are part of block identities: never reused. */
enum {
  DBSA_SEGMENT_FULL = 0,   /* every row sees every token */
  DBSA_SEGMENT_CAUSAL = 1, /* a row sees tokens at positions <= its own */
  DBSA_SEGMENT_WINDOW = 2  /* causal, and nearer than `window`: row - token < window */
};

typedef struct dbsa_visible {
  uint32_t struct_size;
  int32_t kind;        /* DBSA_SEGMENT_*; the block's own tokens are never FULL */
  int64_t block;       /* <= the block asked about */
  int64_t first_token; /* within that block */
  int64_t length;      /* >= 1 */
  int64_t window;      /* tokens, for WINDOW; else 0 */
} dbsa_visible;
#define DBSA_VISIBLE_LEAST (offsetof(dbsa_visible, window) + sizeof(int64_t))

/* Receives the segments in ascending pool order, disjoint. A code other than DBSA_OK means stop. */
typedef struct dbsa_visible_sink {
  uint32_t struct_size;
  void* context;
  int32_t (*emit)(void* context, const dbsa_visible* segment);
} dbsa_visible_sink;

typedef struct dbsa_mask_pattern_vtable {
  uint32_t struct_size;
  /* Emits what block `block` of a pool sees, its own tokens last. block_lengths: [block_count]
   * tokens. Depends only on its arguments and the configuration. Cost: O(segments). [any] */
  int32_t (*visible)(void* instance, const int64_t* block_lengths, int64_t block_count,
                     int64_t block, const dbsa_visible_sink* sink, dbsa_error* error);
  /* How many blocks at the start of the pool every query is given, because all blocks after them
   * were encoded with them in sight; >= 0. May be NULL: none. [any] */
  int64_t (*anchor_blocks)(void* instance);
} dbsa_mask_pattern_vtable;
#define DBSA_MASK_PATTERN_VTABLE_LEAST offsetof(dbsa_mask_pattern_vtable, anchor_blocks)

#ifdef __cplusplus
}
#endif

#endif /* DBSA_MASK_PATTERN_H */
