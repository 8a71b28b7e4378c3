#include "commands/store_pools.h"

#include <map>
#include <set>

#include "config/schema_check.h"
#include "json_output.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

std::string written_at(const StoredPool& stored) {
  return utc_time(static_cast<std::time_t>(stored.changed_unix_s));
}

// What `store pools` says of a pool.
struct PoolSize {
  int64_t tokens = 0;
  int64_t stored = 0;  // blocks
  uint64_t stored_bytes = 0;
};

PoolSize size_of(const Pool& pool, const std::vector<KvEntry>& entries) {
  PoolSize size;
  for (const PoolBlock& block : pool.blocks)
    size.tokens += static_cast<int64_t>(block.token_ids.size());
  for (const PoolEntry& one : entries_of_pool(pool, entries))
    if (one.entry) {
      size.stored += one.retired ? 0 : 1;
      size.stored_bytes += one.entry->stored_bytes;
    }
  return size;
}

// The value of a key of the pipeline that a pool was made with, "retriever.plugin"; "" where it
// says none, as those of earlier versions.
std::string identity_text(const Pool& pool, const char* table, const char* key) {
  if (!pool.identity.is_object()) return "";
  const nlohmann::json values = pool.identity.value(table, nlohmann::json::object());
  if (!values.is_object()) return "";
  const nlohmann::json value = values.value(key, nlohmann::json());
  return value.is_string() ? value.get<std::string>() : "";
}

std::string last_part(const std::string& id) { return id.substr(id.rfind('.') + 1); }

ordered_json pool_to_json(const StoredPool& file, const std::vector<KvEntry>& entries) {
  ordered_json out = {{"id", file.id}, {"path", file.location}, {"written_at", written_at(file)}};
  if (!file.pool.ok()) {
    out["error"] = file.pool.error().message;
    return out;
  }
  const PoolSize size = size_of(*file.pool, entries);
  out["demonstrations"] = file.pool->demonstrations.size();
  out["labels"] = file.pool->labels.size();
  out["blocks"] = file.pool->blocks.size();
  out["retired_blocks"] = file.pool->history ? file.pool->history->retired.size() : 0;
  out["tokens"] = size.tokens;
  out["blocks_stored"] = size.stored;
  out["stored_bytes"] = size.stored_bytes;
  out["identity"] = ordered_json(file.pool->identity);
  return out;
}

// Blocks of a pool that no other pool of the store uses, each once.
Result<std::set<KvKey>> own_keys(const StoreTarget& target, const Pool& pool, Terminal& terminal) {
  std::set<KvKey> own;
  for (const KvKey& key : pool.keys()) own.insert(key);
  DBSA_ASSIGN_OR_RETURN(const std::vector<StoredPool> pools, target.pools());
  for (const StoredPool& file : pools) {
    if (file.id == pool.id) continue;
    if (!file.pool.ok()) {
      terminal.warning(file.pool.error().message);
      continue;
    }
    for (const KvKey& key : file.pool->keys()) own.erase(key);
  }
  return own;
}

}  // namespace

Result<StoredPool> find_stored_pool(const StoreTarget& target, const std::string& id) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvPool> pools, target.store().pool_list());
  std::vector<std::string> found;
  for (const KvPool& one : pools)
    if (one.id.starts_with(id)) found.push_back(one.id);
  if (found.size() == 1) return get_pool(target.store(), found.front());
  const std::string beginning = " that begins with " + in_quotes(id);
  const auto count = static_cast<int64_t>(found.size());
  if (found.empty())
    return Error{ErrorCode::kConfig,
                 target.path() + ": there is no pool" + (id.empty() ? "" : beginning) +
                     "; `dbsa-pipe store pools` shows those there are",
                 ""};
  return Error{ErrorCode::kConfig,
               id.empty()
                   ? target.path() + ": there are " + counted(count, "pool") +
                         "; say which one, `dbsa-pipe store pools` shows them"
                   : counted(count, "pool") + " have an id" + beginning + "; give more of it",
               ""};
}

Result<Pool> find_pool(const StoreTarget& target, const std::string& id) {
  Result<StoredPool> stored = find_stored_pool(target, id);
  if (!stored.ok()) return std::move(stored).error();
  return std::move(stored->pool);
}

std::vector<PoolEntry> entries_of_pool(const Pool& pool, const std::vector<KvEntry>& entries) {
  std::map<KvKey, const KvEntry*> by_key;
  for (const KvEntry& entry : entries) by_key[entry.key] = &entry;
  std::vector<PoolEntry> all;
  const auto add = [&](const PoolBlock& block, bool retired) {
    const auto found = by_key.find(block.key);
    all.push_back({static_cast<int64_t>(all.size()), block.key, &block, retired,
                   found == by_key.end() ? std::nullopt : std::optional(*found->second)});
  };
  for (const PoolBlock& block : pool.blocks) add(block, false);
  if (pool.history)
    for (const PoolBlock& block : pool.history->retired) add(block, true);
  return all;
}

Result<int> list_pools(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  DBSA_ASSIGN_OR_RETURN(const std::vector<StoredPool> pools, target.pools());
  if (line.has("json")) {
    ordered_json all = ordered_json::array();
    for (const StoredPool& file : pools) all.push_back(pool_to_json(file, entries));
    print_document("store_pools", {{"path", target.path()}, {"pools", std::move(all)}}, terminal);
    return 0;
  }
  using enum Table::Align;
  Table table({{"pool"},
               {"blocks", kRight},
               {"stored", kRight},
               {"size", kRight},
               {"tokens", kRight},
               {"demonstrations", kRight},
               {"labels", kRight},
               {"written"},
               {"grouped by"},
               {"mask"},
               {"data"}});
  int64_t readable = 0;
  for (const StoredPool& file : pools) {
    if (!file.pool.ok()) {
      terminal.warning(file.pool.error().message);
      continue;
    }
    ++readable;
    const Pool& pool = *file.pool;
    const PoolSize size = size_of(pool, entries);
    table.add({file.id, human_count(static_cast<int64_t>(pool.blocks.size())),
               human_count(size.stored), human_bytes(size.stored_bytes), human_count(size.tokens),
               human_count(static_cast<int64_t>(pool.demonstrations.size())),
               human_count(static_cast<int64_t>(pool.labels.size())), written_at(file),
               last_part(identity_text(pool, "block_grouper", "plugin")),
               last_part(identity_text(pool, "mask_pattern", "plugin")),
               visible_text(shown_path(identity_text(pool, "data", "demonstrations")))});
  }
  if (readable > 0) {
    table.print(terminal);
    terminal.out("");
  }
  terminal.out(counted(readable, "pool"));
  return 0;
}

Result<int> remove_pool(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  const std::string id = line.text("POOL");
  if (id.empty()) return Error{ErrorCode::kConfig, "POOL is empty; give the id of a pool", ""};
  DBSA_ASSIGN_OR_RETURN(const StoredPool stored, find_stored_pool(target, id));
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  const Result<Pool>& pool = stored.pool;
  int64_t blocks = 0;
  uint64_t bytes = 0;
  if (pool.ok()) {
    DBSA_ASSIGN_OR_RETURN(const std::set<KvKey> own, own_keys(target, *pool, terminal));
    for (const KvEntry& entry : entries)
      if (own.contains(entry.key)) {
        ++blocks;
        bytes += entry.stored_bytes;
      }
  }
  const bool dry = line.has("dry-run");
  if (!dry) DBSA_RETURN_IF_ERROR(target.store().pool_drop(stored.id));
  if (line.has("json")) {
    print_document("store_rm",
                   {{"dry_run", dry},
                    {"id", stored.id},
                    {"path", stored.location},
                    {"blocks_without_a_pool", blocks},
                    {"bytes_without_a_pool", bytes}},
                   terminal);
    return 0;
  }
  terminal.out((dry ? "would remove pool " : "removed pool ") + stored.id);
  if (!pool.ok())
    terminal.out(
        "it was damaged, so which blocks it used is not known; `dbsa-pipe store gc` drops "
        "those of no pool");
  else if (blocks > 0)
    terminal.out(counted(blocks, "block") + ", " + human_bytes(bytes) + ", " +
                 (dry ? "would then be" : "are now") +
                 " used by no pool of this store; `dbsa-pipe store gc` drops them");
  return 0;
}

}  // namespace dbsa::cli
