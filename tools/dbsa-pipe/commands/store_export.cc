// dbsa-pipe store export: blocks as NumPy arrays, for anything outside.
#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include "commands.h"
#include "commands/store_pools.h"
#include "commands/store_target.h"
#include "config/atomic_file.h"
#include "config/schema_check.h"
#include "json_output.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine store_export_command_line() {
  CommandLine line(
      {"store export", "STORE [KEY]", "Write blocks as NumPy files, <key>.npy, one each.",
       "float32 [layers, 2 (keys, values), kv_heads, tokens, head_dim]; keys are "
       "rotated for the\nblock's own positions 0, 1, 2, ... KEY may be the beginning "
       "of a key as `store list`,\n`query --json` and `explain --query` show it. Blocks of "
       "another backend than cpu: name a pipeline file that has it, where it runs.",
       "dbsa-pipe store export .dbsa 3f2a --output blocks\n"
       "dbsa-pipe store export .dbsa --pool 9c01 --block 2 --output blocks\n"
       "dbsa-pipe store export pipeline.toml --all --output blocks"});
  line.arguments({"STORE", "KEY"}, 1);
  line.flag("all", "every block of the store, or of --pool");
  line.integer("block", "N", "block N of --pool, counted from 0 as `query` and `explain` show it");
  line.value("pool", "POOL",
             "the pool, by the beginning of its id; not needed where the store has only one");
  line.value("output", "DIR", "folder for the files (default: the current one)");
  add_plugin_options(line);
  line.flag("json", "print one JSON document on standard output");
  return line;
}
namespace {

// NumPy's format, version 1.0: magic, version, header length, a Python literal padded so that the
// data begin at a multiple of 64.
std::string npy_header(const dbsa_kv_format& format) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                     std::to_string(format.layers) + ", 2, " + std::to_string(format.kv_heads) +
                     ", " + std::to_string(format.tokens) + ", " + std::to_string(format.head_dim) +
                     "), }";
  constexpr size_t kFixed = 10;  // bytes before the text
  text.append(63 - (kFixed + text.size()) % 64, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

// Cost: memory for the whole block in float32.
Result<std::string> block_to_npy(const host::KvStore::Lease& lease,
                                 const host::AttentionBackend& backend) {
  static_assert(std::endian::native == std::endian::little);
  const dbsa_kv_format& format = lease.format();
  std::string bytes = npy_header(format);
  const size_t floats = size_t{2} * format.kv_heads * format.tokens * format.head_dim;
  bytes.reserve(bytes.size() + floats * sizeof(float) * format.layers);
  std::vector<float> plane(floats);
  for (uint32_t layer = 0; layer < format.layers; ++layer) {
    DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t checked, lease.verify(layer));
    DBSA_RETURN_IF_ERROR(backend.block_to_token_major(format, lease.plane(layer), plane));
    bytes.append(reinterpret_cast<const char*>(plane.data()), floats * sizeof(float));
  }
  return bytes;
}

// The blocks that --block or --all choose of --pool.
Result<std::vector<KvKey>> keys_of_pool(const StoreTarget& target,
                                        const std::vector<KvEntry>& entries,
                                        const CommandLine& line) {
  DBSA_ASSIGN_OR_RETURN(const Pool pool, find_pool(target, line.text("pool")));
  const std::vector<PoolEntry> blocks = entries_of_pool(pool, entries);
  const std::optional<int64_t> wanted = line.number("block");
  const auto count = static_cast<int64_t>(blocks.size());
  if (wanted && (*wanted < 0 || *wanted >= count))
    return Error{ErrorCode::kConfig,
                 "--block: must be >= 0 and < " + std::to_string(count) + ", the blocks of pool " +
                     pool.id + ", got " + std::to_string(*wanted),
                 ""};
  std::vector<KvKey> keys;
  std::set<KvKey> seen;
  for (const PoolEntry& one : blocks) {
    if (wanted ? one.block != *wanted : one.retired) continue;
    if (!one.entry)
      return Error{ErrorCode::kEnvironment,
                   "block " + std::to_string(one.block) + " of pool " + pool.id +
                       " is not in the store; `dbsa-pipe encode` computes it",
                   ""};
    if (seen.insert(one.key).second) keys.push_back(one.key);
  }
  return keys;
}

Result<std::vector<KvKey>> wanted_keys(const StoreTarget& target,
                                       const std::vector<KvEntry>& entries,
                                       const CommandLine& line) {
  const std::string start = line.text("KEY");
  const int ways =
      (start.empty() ? 0 : 1) + (line.has("all") ? 1 : 0) + (line.has("block") ? 1 : 0);
  if (ways != 1)
    return Error{ErrorCode::kConfig, "dbsa-pipe store export: give either KEY, --block or --all",
                 ""};
  if (line.has("pool") && !start.empty())
    return Error{ErrorCode::kConfig, "dbsa-pipe store export: a KEY needs no --pool; leave it out",
                 ""};
  if (line.has("pool") || line.has("block")) return keys_of_pool(target, entries, line);
  std::vector<KvKey> keys;
  for (const KvEntry& entry : entries)
    if (entry.key.hex().starts_with(start)) keys.push_back(entry.key);
  if (start.empty() || keys.size() == 1) return keys;
  if (keys.empty())
    return Error{ErrorCode::kConfig,
                 "no block has a key that begins with " + in_quotes(start) +
                     "; `dbsa-pipe store list` shows them",
                 ""};
  return Error{ErrorCode::kConfig,
               counted(static_cast<int64_t>(keys.size()), "block") + " have keys that begin with " +
                   in_quotes(start) + "; give more of the key",
               ""};
}

// Whether one configured backend serves both.
bool same_shape(const dbsa_kv_format& a, const dbsa_kv_format& b) {
  return a.layers == b.layers && a.kv_heads == b.kv_heads && a.head_dim == b.head_dim &&
         a.dtype == b.dtype;
}

Status export_blocks(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvKey> keys, wanted_keys(target, entries, line));
  std::optional<host::AttentionBackend> backend;
  dbsa_kv_format configured{};
  const std::string folder = line.has("output") ? line.text("output") : ".";
  Progress progress(terminal, "exporting ", "blocks");
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  int64_t done = 0;
  for (const KvKey& key : keys) {
    if (target.cancelled())
      return Error{ErrorCode::kCancelled, "stopped after " + counted(done, "block"), ""};
    const std::string path = (std::filesystem::path(folder) / (key.hex() + ".npy")).string();
    DBSA_ASSIGN_OR_RETURN(const host::KvStore::Lease lease, target.store().get(key));
    if (!backend || !same_shape(configured, lease.format())) {
      DBSA_ASSIGN_OR_RETURN(backend, target.open_backend(lease.format()));
      configured = lease.format();
    }
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, block_to_npy(lease, *backend));
    DBSA_RETURN_IF_ERROR(write_file_atomically(path, bytes));
    files.push_back(path);
    progress.update(++done, static_cast<int64_t>(keys.size()));
    if (!line.has("json")) terminal.out(path);
  }
  progress.finish();
  if (line.has("json")) print_document("store_export", {{"files", std::move(files)}}, terminal);
  return {};
}

}  // namespace

int store_export_command(Words words, Terminal& terminal) {
  CommandLine line = store_export_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  set_phase("exporting blocks");
  const Result<std::unique_ptr<StoreTarget>> target = StoreTarget::open(line, terminal);
  if (!target.ok()) return fail(terminal, target.error());
  const Status status = export_blocks(**target, line, terminal);
  return status.ok() ? 0 : fail(terminal, status.error());
}

}  // namespace dbsa::cli
