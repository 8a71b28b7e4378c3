/* dbsa/retriever.h - which documents answer a query best.
 *
 * Documents are what the pipeline indexes: whole blocks, or single demonstrations. Ids are their
 * indices. An index is built once, saved beside the pool, and loaded by later processes.
 */
#ifndef DBSA_RETRIEVER_H
#define DBSA_RETRIEVER_H

#include <dbsa/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Caller-allocated; the plugin fills it. */
typedef struct dbsa_ranking {
  uint32_t struct_size;
  int64_t count;  /* in: capacity; out: entries filled, <= capacity */
  int64_t* ids;   /* [capacity] distinct, best first */
  double* scores; /* [capacity] not ascending */
} dbsa_ranking;

typedef struct dbsa_retriever_vtable {
  uint32_t struct_size;
  /* Indexes the documents, replacing any earlier index. Keeps no pointer. [setup] */
  int32_t (*index)(void* instance, const dbsa_texts* documents, dbsa_error* error);
  /* Writes the index in the plugin's own format, readable by `load` of the same revision and
   * configuration on any machine of the same byte order. [run] */
  int32_t (*save)(void* instance, const dbsa_byte_sink* sink, dbsa_error* error);
  /* Replaces the index by a saved one; the bytes are borrowed for the call. DBSA_ERROR_CORRUPT for
   * bytes that `save` did not write; the instance is then without an index. [setup] */
  int32_t (*load)(void* instance, const void* data, uint64_t bytes, dbsa_error* error);
  /* Ranks documents for a query, at most `ranking->count` of them. It may return fewer, those that
   * match at all; the framework fills up in index order. Ties: the lower id first. [any] */
  int32_t (*query)(void* instance, const char* text, uint64_t length, dbsa_ranking* ranking,
                   dbsa_error* error);
} dbsa_retriever_vtable;
#define DBSA_RETRIEVER_VTABLE_LEAST (offsetof(dbsa_retriever_vtable, query) + sizeof(void*))

#ifdef __cplusplus
}
#endif

#endif /* DBSA_RETRIEVER_H */
