/* dbsa/kv_store.h - keeps KV blocks by key.
 *
 * A key is 16 bytes that identify a block's content for good: a store never overwrites, it only
 * adds, drops and collects. The store knows no model and never interprets planes.
 *
 * Views are borrowed and read-only, in place where the store can. A plane's checksum is looked at
 * when the host asks (verify_plane), once a process; a store that keeps blocks in memory answers
 * at once.
 */
#ifndef DBSA_KV_STORE_H
#define DBSA_KV_STORE_H

#include <dbsa/kv_block.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What format and planes point to stays as it is until release. */
typedef struct dbsa_kv_view {
  uint32_t struct_size;
  const dbsa_kv_format* format;
  const void* const* planes; /* [format->layers], format->plane_bytes long, 64-byte aligned */
  void* lease;               /* the store's; give it back with release */
} dbsa_kv_view;

typedef struct dbsa_kv_entry {
  uint32_t struct_size;
  uint8_t key[DBSA_KV_KEY_BYTES];
  const dbsa_kv_format* format; /* valid for the call */
  uint64_t stored_bytes;        /* on disk or in memory, checksums and padding included */
  int64_t created_unix_s;       /* when it was published */
  const char* location; /* where it lies, for people ("pack-00000003.h5"); valid for the call */
} dbsa_kv_entry;
#define DBSA_KV_ENTRY_LEAST (offsetof(dbsa_kv_entry, location) + sizeof(const char*))

/* Receives entries; anything other than DBSA_OK means stop. */
typedef struct dbsa_kv_entry_sink {
  uint32_t struct_size;
  void* context;
  int32_t (*entry)(void* context, const dbsa_kv_entry* entry);
} dbsa_kv_entry_sink;

/* Receives what `check` finds wrong: one call for each fault. key is NULL where the fault lies in
 * no block (an index, a header, bytes between). */
typedef struct dbsa_kv_fault_sink {
  uint32_t struct_size;
  void* context;
  void (*fault)(void* context, const uint8_t* key, const char* location, const char* message);
} dbsa_kv_fault_sink;

/* A pool: a document of the host's, and the blocks that it needs. The store keeps both and never
 * interprets the document. */
typedef struct dbsa_kv_pool {
  uint32_t struct_size;
  const char* id; /* 1 to DBSA_KV_POOL_ID_MAX of a-z, 0-9, '-' and '_' */
  const uint8_t* document;
  uint64_t document_bytes;
  const uint8_t* keys; /* [key_count][DBSA_KV_KEY_BYTES] */
  uint64_t key_count;
  int64_t changed_unix_s; /* when it was put; ignored by pool_put */
  const char* location;   /* where it lies, for people; ignored by pool_put */
} dbsa_kv_pool;
#define DBSA_KV_POOL_LEAST (offsetof(dbsa_kv_pool, location) + sizeof(const char*))
#define DBSA_KV_POOL_ID_MAX 64

/* Receives pools, valid for the call; anything other than DBSA_OK means stop. */
typedef struct dbsa_kv_pool_sink {
  uint32_t struct_size;
  void* context;
  int32_t (*pool)(void* context, const dbsa_kv_pool* pool);
} dbsa_kv_pool_sink;

typedef struct dbsa_kv_stats {
  uint32_t struct_size;
  uint64_t blocks;
  uint64_t stored_bytes;
  uint64_t max_bytes;  /* the bound; 0: none */
  uint64_t free_bytes; /* on the store's disk, or of memory */
  /* What processes that were killed have left and collect removes. */
  uint64_t leftover_files;
  uint64_t leftover_bytes;
  const char* location; /* where it is kept, until release; NULL: nothing is yet, or outlives it */
} dbsa_kv_stats;
#define DBSA_KV_STATS_LEAST (offsetof(dbsa_kv_stats, location) + sizeof(const char*))

typedef struct dbsa_kv_store_vtable {
  uint32_t struct_size;
  /* Whether the store has the block (*found 0 or 1). [any] */
  int32_t (*contains)(void* instance, const uint8_t* key, int32_t* found, dbsa_error* error);
  /* Opens a view, valid until release, no matter what else happens to the store.
   * DBSA_ERROR_NOT_FOUND when absent. No byte of a plane is read. [any] */
  int32_t (*get)(void* instance, const uint8_t* key, dbsa_kv_view* view, dbsa_error* error);
  /* Ends a view. [any] */
  void (*release)(void* instance, void* lease);
  /* Compares a plane with its checksum the first time in this process. DBSA_ERROR_CORRUPT on a
   * mismatch. *bytes_checked: bytes read for it, 0 when it was checked before. [any] */
  int32_t (*verify_plane)(void* instance, void* lease, uint32_t plane, uint64_t* bytes_checked,
                          dbsa_error* error);
  /* Copies the planes in. The block is durable after the next publish; get may find it before. A
   * key that is there already is left as it is, DBSA_OK. DBSA_ERROR_ENVIRONMENT when it does not
   * fit the disk or max_bytes. [run] */
  int32_t (*put)(void* instance, const uint8_t* key, const dbsa_kv_format* format,
                 const void* const* planes, dbsa_error* error);
  /* Makes all that was put durable and visible to other processes; nothing to do is DBSA_OK. A
   * crash before it returns leaves the old state or the new one. [run] */
  int32_t (*publish)(void* instance, dbsa_error* error);
  /* Forgets a block whose bytes proved wrong, so that a later put stores it again. [run] */
  int32_t (*discard)(void* instance, const uint8_t* key, dbsa_error* error);
  /* Lists all blocks, in no order. [any] */
  int32_t (*list)(void* instance, const dbsa_kv_entry_sink* sink, dbsa_error* error);
  /* Reads everything and reports every fault; DBSA_OK also when there are some. [run] */
  int32_t (*check)(void* instance, const dbsa_kv_fault_sink* sink, dbsa_error* error);
  /* Drops blocks that no pool needs - least recently published first - until at most max_bytes are
   * stored (0: all of them), and what killed processes left. Pools are read when no other instance
   * can publish any more: what was encoded until then is kept. A pool that cannot be read is an
   * error, and nothing is dropped. `dropped` receives each block; with dry_run those that would be,
   * and nothing changes. *freed_bytes: space won. [run] */
  int32_t (*collect)(void* instance, uint64_t max_bytes, int32_t dry_run,
                     const dbsa_kv_entry_sink* dropped, uint64_t* freed_bytes, dbsa_error* error);
  /* Rewrites storage without holes and in few files. *freed_bytes: space won. [run] */
  int32_t (*compact)(void* instance, uint64_t* freed_bytes, dbsa_error* error);
  /* Sizes. [any] */
  int32_t (*stats)(void* instance, dbsa_kv_stats* stats, dbsa_error* error);
  /* Keeps a pool, instead of one of the same id: a crash leaves the old one or the new one,
   * durable when this returns. One that is there and says the same is left as it is. [run] */
  int32_t (*pool_put)(void* instance, const dbsa_kv_pool* pool, dbsa_error* error);
  /* Gives the pool of this id to the sink. DBSA_ERROR_NOT_FOUND when absent, DBSA_ERROR_CORRUPT
   * when it is not what was put. [any] */
  int32_t (*pool_get)(void* instance, const char* id, const dbsa_kv_pool_sink* sink,
                      dbsa_error* error);
  /* Lists all pools by id, the readable and the others: without document and keys. [any] */
  int32_t (*pool_list)(void* instance, const dbsa_kv_pool_sink* sink, dbsa_error* error);
  /* Forgets a pool; its blocks stay. DBSA_ERROR_NOT_FOUND when absent. [run] */
  int32_t (*pool_drop)(void* instance, const char* id, dbsa_error* error);
  /* Says that a plane will be verified soon: its bytes may be brought in meanwhile. The host names
   * each plane that it wants and no other. A hint; may be NULL. [any] */
  void (*fetch_plane)(void* instance, void* lease, uint32_t plane);
} dbsa_kv_store_vtable;
#define DBSA_KV_STORE_VTABLE_LEAST offsetof(dbsa_kv_store_vtable, fetch_plane)

#ifdef __cplusplus
}
#endif

#endif /* DBSA_KV_STORE_H */
