// What garbage collection of a store must keep: the blocks of every pool that uses it.
#pragma once

#include <dbsa/sdk/kv_store.h>
#include <dbsa/sdk/result.h>

#include <string>
#include <vector>

#include "commands/store_target.h"

namespace dbsa::cli {

// The folders whose pools use a store: its own, and those that --pools names. A store whose blocks
// lie in its own folder (kv_store.path) is used by the pools in that folder. If its blocks lie
// elsewhere, on a server or behind a link, pools in other folders may use them, and nothing here
// tells which folders there are: kConfig unless --pools says it. kEnvironment for a folder without
// pools.
Result<std::vector<std::string>> pool_folders(StoreTarget& target,
                                              const std::vector<std::string>& named);

// Keys that pools in these folders use. Fails, rather than leave one out.
Result<std::vector<KvKey>> roots_of(const std::vector<std::string>& folders);

}  // namespace dbsa::cli
