// Pools of a store: finding, listing and giving them up.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <vector>

#include "commands/store_target.h"

namespace dbsa::cli {

// The pool whose id begins with `id`, or the only one for "". kConfig where it is none or several
// of them.
Result<StoredPool> find_stored_pool(const StoreTarget& target, const std::string& id);
// The same; one that cannot be read is an error.
Result<Pool> find_pool(const StoreTarget& target, const std::string& id);

// A block of a pool, and the store's entry of it where it is stored.
struct PoolEntry {
  int64_t block = 0;  // index in the pool; retired ones follow the others
  KvKey key;
  const PoolBlock* source = nullptr;
  bool retired = false;
  std::optional<KvEntry> entry;
};
// Of each block of the pool, in its order.
std::vector<PoolEntry> entries_of_pool(const Pool& pool, const std::vector<KvEntry>& entries);

// `store pools` and `store rm`.
Result<int> list_pools(StoreTarget& target, const CommandLine& line, Terminal& terminal);
Result<int> remove_pool(StoreTarget& target, const CommandLine& line, Terminal& terminal);

}  // namespace dbsa::cli
