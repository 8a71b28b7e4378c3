/* A block grouper in C whose table can be made wrong, one field at a time, by definitions. */
#include <dbsa/block_grouper.h>

#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(dbsa_plugin_table)
#endif
#ifndef MAGIC
#define MAGIC DBSA_ABI_MAGIC
#endif
#ifndef ABI_MAJOR
#define ABI_MAJOR DBSA_ABI_MAJOR
#endif
#ifndef ABI_MINOR
#define ABI_MINOR DBSA_ABI_MINOR
#endif
#ifndef KIND
#define KIND DBSA_KIND_BLOCK_GROUPER
#endif
#ifndef CHECK_CONFIG
#define CHECK_CONFIG check_config
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef DESTROY
#define DESTROY destroy
#endif
#ifndef VTABLE
#define VTABLE &vtable
#endif
#ifndef EXTENSION
#define EXTENSION NULL
#endif
#ifndef VTABLE_SIZE
#define VTABLE_SIZE sizeof(dbsa_block_grouper_vtable)
#endif
#ifndef GROUP
#define GROUP group
#endif

#ifdef NEEDS_ABSENT
int dbsa_absent_function(void);
int32_t create_with_absent(const dbsa_host* host, const char* config_json, void** instance,
                           dbsa_error* error);
#endif

static int instance_memory;

int32_t check_config(const char* config_json, dbsa_error* error);
int32_t create(const dbsa_host* host, const char* config_json, void** instance, dbsa_error* error);
void destroy(void* instance);
int32_t group(void* instance, const dbsa_demonstrations* demonstrations, int64_t block_size,
              uint64_t seed, dbsa_grouping* grouping, dbsa_error* error);
extern const dbsa_block_grouper_vtable vtable;

int32_t check_config(const char* config_json, dbsa_error* error) {
  (void)config_json;
  (void)error;
  return DBSA_OK;
}

int32_t create(const dbsa_host* host, const char* config_json, void** instance, dbsa_error* error) {
  (void)host;
  (void)config_json;
  (void)error;
  *instance = &instance_memory;
  return DBSA_OK;
}

#ifdef NEEDS_ABSENT
int32_t create_with_absent(const dbsa_host* host, const char* config_json, void** instance,
                           dbsa_error* error) {
  return dbsa_absent_function() + create(host, config_json, instance, error);
}
#endif

void destroy(void* instance) { (void)instance; }

/* All in file order. */
int32_t group(void* instance, const dbsa_demonstrations* demonstrations, int64_t block_size,
              uint64_t seed, dbsa_grouping* grouping, dbsa_error* error) {
  (void)instance;
  (void)seed;
  (void)error;
  grouping->block_count = 0;
  for (int64_t i = 0; i < demonstrations->count; ++i) {
    grouping->order[i] = i;
    if ((i + 1) % block_size == 0 || i + 1 == demonstrations->count)
      grouping->block_ends[grouping->block_count++] = i + 1;
  }
  return DBSA_OK;
}

const dbsa_block_grouper_vtable vtable = {VTABLE_SIZE, GROUP};

extern DBSA_EXPORT const dbsa_plugin_table dbsa_plugin;
const dbsa_plugin_table dbsa_plugin = {TABLE_SIZE,   MAGIC,  ABI_MAJOR, ABI_MINOR, KIND,     1,
                                       CHECK_CONFIG, CREATE, DESTROY,   VTABLE,    EXTENSION};
