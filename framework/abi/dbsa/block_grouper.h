/* dbsa/block_grouper.h - which demonstrations stand together in a block, and in which order.
 *
 * In: the demonstrations with their token counts. Out: a permutation cut into blocks. The host
 * checks that it is one: every index exactly once, no empty block, none larger than block_size.
 */
#ifndef DBSA_BLOCK_GROUPER_H
#define DBSA_BLOCK_GROUPER_H

#include <dbsa/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dbsa_demonstrations {
  uint32_t struct_size;
  int64_t count;
  const dbsa_texts* texts;     /* [count] the inputs */
  const dbsa_texts* labels;    /* [count] */
  const int64_t* token_counts; /* [count] of the whole demonstration, separator included */
} dbsa_demonstrations;

/* Caller-allocated; the plugin fills it. */
typedef struct dbsa_grouping {
  uint32_t struct_size;
  int64_t block_count; /* <= count */
  int64_t* order;      /* [count] demonstration indices, block after block */
  int64_t* block_ends; /* [count] first block_count used: end of each block in `order`, ascending */
} dbsa_grouping;

typedef struct dbsa_block_grouper_vtable {
  uint32_t struct_size;
  /* Deals the demonstrations into blocks of block_size (>= 1); one block may be smaller. The same
   * arguments give the same grouping on every machine. Borrows everything for the call. [run] */
  int32_t (*group)(void* instance, const dbsa_demonstrations* demonstrations, int64_t block_size,
                   uint64_t seed, dbsa_grouping* grouping, dbsa_error* error);
} dbsa_block_grouper_vtable;
#define DBSA_BLOCK_GROUPER_VTABLE_LEAST (offsetof(dbsa_block_grouper_vtable, group) + sizeof(void*))

#ifdef __cplusplus
}
#endif

#endif /* DBSA_BLOCK_GROUPER_H */
