// Pools in a KV store: a manifest as the store's document, the keys of its blocks as those that it
// needs.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <vector>

#include "host/kv_store.h"
#include "pipeline/pool/pool.h"

namespace dbsa {

// A pool of a store, or why it cannot be read.
struct StoredPool {
  std::string id;
  std::string location;  // for people: its file
  int64_t changed_unix_s = 0;
  Result<Pool> pool;
};

// kEnvironment when the store refuses; the old pool is then still there. One that says the same is
// left as it is.
Status put_pool(host::KvStore& store, const Pool& pool);

// kNotFound when there is none. Of one that is there but cannot be read `pool` says why, with its
// location: kCorrupt when it is damaged.
Result<StoredPool> get_pool(const host::KvStore& store, const std::string& id);

// All of them by id, each read.
Result<std::vector<StoredPool>> stored_pools(const host::KvStore& store);

// Where a store keeps a pool; "" where it has none of this id.
std::string pool_location(const host::KvStore& store, const std::string& id);

}  // namespace dbsa
