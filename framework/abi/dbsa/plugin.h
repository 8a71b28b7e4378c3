/* dbsa/plugin.h - the boundary between dbsa-pipe and a plugin.
 *
 * A plugin is a shared object with one exported symbol, `dbsa_plugin`, a const dbsa_plugin_table,
 * and a manifest `<name>.plugin.toml` beside it. The host reads the manifest first and loads the
 * library only when a pipeline names the plugin.
 *
 * Order of calls: check_config (pure, any number of times) -> create -> work through the vtable of
 * the kind -> destroy. A library stays loaded for the life of the process.
 *
 * To authors: derive from a class in dbsa/sdk/ and write DBSA_PLUGIN(MyClass); these C structs are
 * what it produces. To hosts: trust no size, index or count that comes back; check it.
 *
 * Rules of every struct: struct_size is first (except in dbsa_tensor, dbsa_device and dbsa_dtype,
 * whose layouts are frozen); fields are only appended, so a newer side's struct is longer; codes
 * are never reused. Whoever fills a struct says in struct_size how much of it is filled; what
 * follows counts as zeros. Elements of an array lie struct_size of its first element apart. A
 * struct that can grow is never a field of another one, only pointed to. <STRUCT>_LEAST are the
 * bytes that every interface has from 0.2 on: the host accepts no fewer. docs/abi.md has the
 * policy.
 *
 * Thread labels, one at the end of each function's comment:
 *   [setup] one call at a time for each library, of all its instances;
 *   [run]   one call at a time for each instance;
 *   [any]   any number of calls at once.
 */
#ifndef DBSA_PLUGIN_H
#define DBSA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DBSA_ABI_MAGIC UINT32_C(0x41534244) /* "DBSA" in memory on a little-endian machine */
#define DBSA_ABI_MAJOR 0
#define DBSA_ABI_MINOR 2
#define DBSA_ABI_MINOR_LEAST 2 /* the oldest that a host still accepts */

#if defined(_WIN32)
#define DBSA_EXPORT __declspec(dllexport)
#else
#define DBSA_EXPORT __attribute__((visibility("default")))
#endif

/* ---- errors ------------------------------------------------------------------------------- */

/* What a function returns: DBSA_OK or one of these. */
enum {
  DBSA_OK = 0,
  DBSA_ERROR_INVALID_ARGUMENT = 1, /* the caller broke the contract */
  DBSA_ERROR_CONFIG = 2,           /* the user's configuration or input is wrong */
  DBSA_ERROR_PLUGIN = 3,           /* a plugin is missing, broken, or broke the contract */
  DBSA_ERROR_ENVIRONMENT = 4,      /* a file, memory, disk space or device is missing */
  DBSA_ERROR_RUN = 5,              /* the computation failed */
  DBSA_ERROR_CANCELLED = 6,        /* the user asked to stop */
  DBSA_ERROR_NOT_FOUND = 7,        /* no such entry (a key of a store) */
  DBSA_ERROR_CORRUPT = 8,          /* stored bytes do not match their checksum or format */
  DBSA_ERROR_UNSUPPORTED = 9       /* valid, but this plugin cannot do it */
};

#define DBSA_ERROR_MESSAGE_BYTES 1024
#define DBSA_ERROR_POINTER_BYTES 256

/* Owned by the caller, filled by the callee when it returns anything other than DBSA_OK. Text is
 * UTF-8, always terminated, cut at the buffer's end. */
typedef struct dbsa_error {
  uint32_t struct_size;
  int32_t code;
  char message[DBSA_ERROR_MESSAGE_BYTES];
  /* JSON pointer into the plugin's own configuration ("/k1") when that is at fault, else "". */
  char config_pointer[DBSA_ERROR_POINTER_BYTES];
} dbsa_error;

/* ---- tensors ------------------------------------------------------------------------------ */

/* Values as in DLPack. */
enum { DBSA_DEVICE_CPU = 1, DBSA_DEVICE_CUDA = 2, DBSA_DEVICE_CUDA_HOST = 3 };
enum { DBSA_DTYPE_INT = 0, DBSA_DTYPE_UINT = 1, DBSA_DTYPE_FLOAT = 2, DBSA_DTYPE_BFLOAT = 4 };

typedef struct dbsa_device {
  int32_t type;
  int32_t id;
} dbsa_device;

typedef struct dbsa_dtype {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} dbsa_dtype;

/* Same layout as DLTensor. Non-owning. strides are in elements and always present. */
typedef struct dbsa_tensor {
  void* data;
  dbsa_device device;
  int32_t ndim;
  dbsa_dtype dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
} dbsa_tensor;

/* ---- text --------------------------------------------------------------------------------- */

/* UTF-8 texts, lengths in bytes, not terminated. Borrowed for the call. */
typedef struct dbsa_texts {
  uint32_t struct_size;
  int64_t count;
  const char* const* data; /* [count] */
  const uint64_t* lengths; /* [count] */
} dbsa_texts;

/* Receives bytes that a plugin produces. write may be called any number of times, in order;
 * anything other than DBSA_OK means stop and return that code. */
typedef struct dbsa_byte_sink {
  uint32_t struct_size;
  void* context;
  int32_t (*write)(void* context, const void* data, uint64_t bytes);
} dbsa_byte_sink;

/* ---- services of the host ----------------------------------------------------------------- */

enum { DBSA_LOG_DEBUG = 0, DBSA_LOG_INFO = 1, DBSA_LOG_WARNING = 2, DBSA_LOG_ERROR = 3 };

struct dbsa_plugin_table;

/* Outlives every instance created with it. Plugins start no thread pools. */
typedef struct dbsa_host {
  uint32_t struct_size;
  void* context;
  /* Logs one line. [any] */
  void (*log)(void* context, int32_t level, const char* message);
  /* Calls body(argument, begin, end) on disjoint ranges that cover [0, count), each at least grain
   * long except the last, on the host's threads; returns when all are done. body must not throw.
   * Calls may nest. [any] */
  void (*parallel_for)(void* context, int64_t count, int64_t grain,
                       void (*body)(void* argument, int64_t begin, int64_t end), void* argument);
  /* How many threads parallel_for uses at most, >= 1. [any] */
  int32_t (*thread_count)(void* context);
  /* 64-byte aligned memory of the calling thread, at least `bytes` long, contents undefined, valid
   * until the thread's next call with the same slot (0..7); NULL when memory is out. A body that
   * calls parallel_for may find its own slots used by what it ran. [any] */
  void* (*scratch)(void* context, int32_t slot, uint64_t bytes);
  /* Not 0 once the user asked to stop; long calls then return DBSA_ERROR_CANCELLED. [any] */
  int32_t (*cancelled)(void* context);
  /* Values in an embedding; 0 where the pipeline file has no [embedding]. [any] */
  int64_t (*embedding_width)(void* context);
  /* Embeds texts as [embedding] of the pipeline file says: row i of `vectors`,
   * [texts->count, embedding_width] row-major float32, is the embedding of text i, of length 1. A
   * text's row does not depend on the others. DBSA_ERROR_CONFIG where the file has no [embedding].
   * Calls are serialised by the host; costs a forward pass of an encoder over all tokens. [any] */
  int32_t (*embed)(void* context, const dbsa_texts* texts, float* vectors, dbsa_error* error);
  /* Creates an instance of another plugin. The caller then owns it, must follow the thread labels
   * of its calls, and destroys it through the table. `config_json` is a table of the pipeline file
   * with `plugin` and that plugin's keys, as `create` gets it for a key whose manifest says
   * format = "retriever". Only within the caller's own `create`. [setup] */
  int32_t (*open_plugin)(void* context, uint32_t kind, const char* config_json,
                         const struct dbsa_plugin_table** table, void** instance,
                         dbsa_error* error);
  /* What the host can do beyond this struct: the const struct that the header of extension `id`
   * describes, valid as long as the host; NULL for one that it does not have. [any] */
  const void* (*extension)(void* context, const char* id);
} dbsa_host;

/* ---- the plugin --------------------------------------------------------------------------- */

enum {
  DBSA_KIND_BLOCK_GROUPER = 1,
  DBSA_KIND_MASK_PATTERN = 2,
  DBSA_KIND_RETRIEVER = 3,
  DBSA_KIND_KV_STORE = 4,
  DBSA_KIND_ATTENTION_BACKEND = 5
};

typedef struct dbsa_plugin_table {
  uint32_t struct_size;
  uint32_t magic;     /* DBSA_ABI_MAGIC */
  uint32_t abi_major; /* DBSA_ABI_MAJOR */
  uint32_t abi_minor; /* DBSA_ABI_MINOR */
  uint32_t kind;      /* DBSA_KIND_* */
  /* The plugin's own number, equal to `revision` in its manifest. Raised whenever its results for
   * the same configuration change; it enters the identity of what depends on it. */
  uint32_t revision;
  /* Checks what the manifest's schema cannot express. config_json is the plugin's own table as a
   * JSON object, terminated, defaults filled in. Pure. [any] */
  int32_t (*check_config)(const char* config_json, dbsa_error* error);
  /* Makes an instance. `host` outlives it. On failure *instance is untouched. [setup] */
  int32_t (*create)(const dbsa_host* host, const char* config_json, void** instance,
                    dbsa_error* error);
  /* Frees an instance and all it owns. [setup] */
  void (*destroy)(void* instance);
  /* The functions of the kind: a const dbsa_<kind>_vtable. */
  const void* vtable;
  /* What the plugin can do beyond its kind: the const struct that the header of extension `id`
   * describes, valid for good; NULL for one that it does not have. NULL: it has none. A table may
   * end before this field. [any] */
  const void* (*extension)(const char* id);
} dbsa_plugin_table;

#define DBSA_PLUGIN_TABLE_LEAST offsetof(dbsa_plugin_table, extension)

/* The symbol a plugin exports. */
#define DBSA_PLUGIN_SYMBOL "dbsa_plugin"

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DBSA_PLUGIN_H */
