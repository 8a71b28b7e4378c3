// dbsa-pipe store: looks after a KV store.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "commands.h"
#include "commands/store_pools.h"
#include "commands/store_target.h"
#include "config/atomic_file.h"
#include "config/exit_code.h"
#include "config/nearest_name.h"
#include "config/schema_check.h"
#include "json_output.h"
#include "model/decoder/packed_files.h"
#include "model/decoder/packed_weights.h"
#include "pipeline/record/journal.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kStoreText =
    "STORE is the folder of a store (kv_store.path) or a pipeline file that has one.";

// A line of a store command, with what all of them have.
CommandLine store_line(CommandLine line, const std::vector<std::string>& arguments = {"STORE"}) {
  line.arguments(arguments, arguments.size());
  add_plugin_options(line);
  line.flag("json", "print one JSON document on standard output");
  return line;
}

// Parses, opens the store and lets `work` run.
int with_store(CommandLine line, Words words, Terminal& terminal,
               Result<int> (*work)(StoreTarget& target, const CommandLine& line,
                                   Terminal& terminal)) {
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  set_phase("working on the store");
  const Result<std::unique_ptr<StoreTarget>> target = StoreTarget::open(line, terminal);
  if (!target.ok()) return fail(terminal, target.error());
  const Result<int> code = work(**target, line, terminal);
  return code.ok() ? *code : fail(terminal, code.error());
}

std::string created_at(const KvEntry& entry) {
  return utc_time(static_cast<std::time_t>(entry.created_unix_s));
}

// ---- list --------------------------------------------------------------------------------------

// Keys that readable pools use; those of unreadable ones are unknown.
Result<std::set<KvKey>> used_keys(const StoreTarget& target, Terminal& terminal) {
  std::set<KvKey> used;
  DBSA_ASSIGN_OR_RETURN(const std::vector<StoredPool> pools, target.pools());
  for (const StoredPool& file : pools) {
    if (!file.pool.ok()) {
      terminal.warning(file.pool.error().message);
      continue;
    }
    for (const KvKey& key : file.pool->keys()) used.insert(key);
  }
  return used;
}

// Files of packed weights (model.packed_weights), which are this machine's and no store's.
struct WeightFiles {
  std::vector<std::string> paths;  // sorted
  uint64_t bytes = 0;
};

WeightFiles weight_files() {
  WeightFiles found;
  for (const PackedFile& file : packed_files(packed_weights_folder())) {
    found.paths.push_back(file.path);
    found.bytes += file.bytes;
  }
  std::sort(found.paths.begin(), found.paths.end());
  return found;
}

// What killed processes have left in a store and among packed weights.
Leftovers leftovers_of(const dbsa_kv_stats& stats) {
  Leftovers all = count_leftovers(packed_weights_folder());
  all.files += static_cast<int64_t>(stats.leftover_files);
  all.bytes += stats.leftover_bytes;
  return all;
}

ordered_json files_to_json(int64_t files, uint64_t bytes) {
  return {{"files", files}, {"bytes", bytes}};
}

ordered_json entry_to_json(const KvEntry& entry, bool used) {
  return {{"key", entry.key.hex()},
          {"tokens", entry.format.tokens},
          {"layers", entry.format.layers},
          {"kv_heads", entry.format.kv_heads},
          {"head_dim", entry.format.head_dim},
          {"dtype", host::kv_dtype_name(entry.format.dtype)},
          {"layout", layout_name(entry.format.layout)},
          {"stored_bytes", entry.stored_bytes},
          {"created_at", created_at(entry)},
          {"location", entry.location},
          {"used", used}};
}

// The blocks of one pool, in its order.
Result<int> list_blocks_of_pool(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const Pool pool, find_pool(target, line.text("pool")));
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  ordered_json blocks = ordered_json::array();
  using enum Table::Align;
  Table table({{"block", kRight},
               {"key"},
               {"tokens", kRight},
               {"size", kRight},
               {"type"},
               {"created"},
               {"where"}});
  int64_t stored = 0, retired = 0;
  uint64_t bytes = 0;
  for (const PoolEntry& one : entries_of_pool(pool, entries)) {
    const auto& block = *one.source;
    const auto tokens = static_cast<int64_t>(block.token_ids.size());
    ordered_json row = {{"block", one.block},
                        {"demonstrations", block.demonstrations.size()},
                        {"retired", one.retired},
                        {"stored", one.entry.has_value()}};
    if (one.entry)
      row.update(entry_to_json(*one.entry, true));
    else
      row.update({{"key", one.key.hex()}, {"tokens", tokens}});
    blocks.push_back(std::move(row));
    retired += one.retired ? 1 : 0;
    stored += one.entry && !one.retired ? 1 : 0;
    bytes += one.entry ? one.entry->stored_bytes : 0;
    table.add({std::to_string(one.block) + (one.retired ? " (retired)" : ""), one.key.hex(),
               human_count(tokens), one.entry ? human_bytes(one.entry->stored_bytes) : "-",
               one.entry ? host::kv_dtype_name(one.entry->format.dtype) : "-",
               one.entry ? created_at(*one.entry) : "-",
               one.entry ? one.entry->location : "not stored"});
  }
  if (line.has("json")) {
    print_document("store_pool_blocks",
                   {{"path", target.path()}, {"pool", pool.id}, {"blocks", std::move(blocks)}},
                   terminal);
    return 0;
  }
  if (!pool.blocks.empty()) {
    table.print(terminal);
    terminal.out("");
  }
  terminal.out("pool " + pool.id + ": " + human_count(stored) + " of " +
               counted(static_cast<int64_t>(pool.blocks.size()), "block") + " stored, " +
               (retired > 0 ? human_count(retired) + " retired, " : std::string()) +
               human_bytes(bytes));
  return 0;
}

Result<int> list(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  if (line.has("pool")) return list_blocks_of_pool(target, line, terminal);
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, target.store().stats());
  DBSA_ASSIGN_OR_RETURN(const std::set<KvKey> used, used_keys(target, terminal));
  const WeightFiles weights = weight_files();
  const Leftovers left = leftovers_of(stats);
  if (line.has("json")) {
    ordered_json blocks = ordered_json::array();
    for (const KvEntry& entry : entries)
      blocks.push_back(entry_to_json(entry, used.contains(entry.key)));
    print_document("store_list",
                   {{"path", target.path()},
                    {"stored_bytes", stats.stored_bytes},
                    {"max_bytes", stats.max_bytes},
                    {"free_bytes", stats.free_bytes},
                    {"packed_weights",
                     files_to_json(static_cast<int64_t>(weights.paths.size()), weights.bytes)},
                    {"leftovers", files_to_json(left.files, left.bytes)},
                    {"blocks", std::move(blocks)}},
                   terminal);
    return 0;
  }
  using enum Table::Align;
  Table table(
      {{"key"}, {"tokens", kRight}, {"size", kRight}, {"type"}, {"created"}, {"used"}, {"where"}});
  int64_t in_use = 0;
  for (const KvEntry& entry : entries) {
    const bool is_used = used.contains(entry.key);
    in_use += is_used ? 1 : 0;
    table.add({entry.key.hex(), human_count(static_cast<int64_t>(entry.format.tokens)),
               human_bytes(entry.stored_bytes), host::kv_dtype_name(entry.format.dtype),
               created_at(entry), is_used ? "yes" : "no", entry.location});
  }
  if (!entries.empty()) {
    table.print(terminal);
    terminal.out("");
  }
  terminal.out(counted(static_cast<int64_t>(entries.size()), "block") + ", " +
               human_bytes(stats.stored_bytes) + "; " + human_count(in_use) + " used by a pool; " +
               human_bytes(stats.free_bytes) + " free" +
               (stats.max_bytes > 0 ? "; bound " + human_bytes(stats.max_bytes) : ""));
  if (!weights.paths.empty())
    terminal.out(counted(static_cast<int64_t>(weights.paths.size()), "file") +
                 " of packed weights, " + human_bytes(weights.bytes) + ", in " +
                 shown_path(packed_weights_folder()) +
                 "; may be deleted, and the next start packs them again");
  if (left.files > 0)
    terminal.out(counted(left.files, "file") + " left from processes that were killed, " +
                 human_bytes(left.bytes) + "; `dbsa-pipe store gc` removes " +
                 (left.files == 1 ? "it" : "them"));
  return 0;
}

// ---- verify ------------------------------------------------------------------------------------

// What of a pool's blocks the store lacks or has of another length; "" for nothing.
std::string missing_of(const Pool& pool, const std::map<KvKey, uint64_t>& tokens_of) {
  std::set<KvKey> missing;
  if (!pool.stored) return "";
  for (const PoolBlock& block : pool.blocks) {
    const auto found = tokens_of.find(block.key);
    if (found == tokens_of.end() || found->second != block.token_ids.size())
      missing.insert(block.key);
  }
  if (missing.empty()) return "";
  return "the store lacks " + human_count(static_cast<int64_t>(missing.size())) + " of its " +
         counted(static_cast<int64_t>(pool.blocks.size()), "block") + ", such as " +
         missing.begin()->hex() + "; `dbsa-pipe encode` computes them";
}

// All files of packed weights that are not as they were written, by name.
std::vector<std::pair<std::string, std::string>> weight_faults(const StoreTarget& target,
                                                               Terminal& terminal) {
  std::vector<std::pair<std::string, std::string>> faults;
  for (const std::string& path : weight_files().paths) {
    if (target.cancelled()) break;
    terminal.set_progress("reading " + shown_path(path) + " ...");
    if (const Status sound = check_packed_weights(path); !sound.ok())
      faults.emplace_back(path, sound.error().message + "; it is packed again when it is used");
  }
  terminal.set_progress("");
  return faults;
}

Result<int> verify(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  ordered_json faults = ordered_json::array();
  const auto add = [&](const std::string& key, const std::string& location, std::string message) {
    if (message.starts_with(location + ": ")) message.erase(0, location.size() + 2);
    faults.push_back({{"key", key.empty() ? ordered_json(nullptr) : ordered_json(key)},
                      {"location", location},
                      {"message", message}});
    if (!line.has("json"))
      terminal.out(location + ": " + (key.empty() ? "" : "block " + key + ": ") + message);
  };
  terminal.set_progress("reading the store ...");
  DBSA_RETURN_IF_ERROR(target.store().check([&](const KvFault& fault) {
    add(fault.key ? fault.key->hex() : "", fault.location, fault.message);
  }));
  terminal.set_progress("");
  std::map<KvKey, uint64_t> tokens_of;
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvEntry> entries, target.entries());
  for (const KvEntry& entry : entries) tokens_of[entry.key] = entry.format.tokens;
  const Result<std::vector<StoredPool>> all = target.pools();
  if (!all.ok()) add("", target.path(), all.error().message);
  const auto pools = static_cast<int64_t>(all.ok() ? all->size() : 0);
  for (int64_t i = 0; i < pools; ++i) {
    const StoredPool& stored = (*all)[static_cast<size_t>(i)];
    if (!stored.pool.ok())
      add("", stored.location, stored.pool.error().message);
    else if (const std::string missing = missing_of(*stored.pool, tokens_of); !missing.empty())
      add("", stored.location, missing);
  }
  for (const auto& [path, message] : weight_faults(target, terminal)) add("", path, message);
  if (target.cancelled())
    return Error{ErrorCode::kCancelled, "stopped before all of the store was read", ""};
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, target.store().stats());
  const bool sound = faults.empty();
  const auto count = static_cast<int64_t>(faults.size());
  if (line.has("json")) {
    print_document("store_verify",
                   {{"ok", sound},
                    {"path", target.path()},
                    {"blocks", stats.blocks},
                    {"pools", pools},
                    {"faults", std::move(faults)}},
                   terminal);
  } else {
    const std::string what = counted(static_cast<int64_t>(stats.blocks), "block") + " and " +
                             counted(pools, "pool") + " read";
    if (sound)
      terminal.out(terminal.out_style(Style::kGreen, "ok") + "  " + what + ", no faults");
    else
      terminal.out(what + ", " + counted(count, "fault") +
                   "; damaged blocks are computed again when they are next used");
  }
  return sound ? 0 : exit_code(ErrorCode::kRun);
}

// ---- compact, gc -------------------------------------------------------------------------------

Result<int> compact(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  terminal.set_progress("rewriting the store ...");
  DBSA_ASSIGN_OR_RETURN(const uint64_t freed, target.store().compact());
  terminal.set_progress("");
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, target.store().stats());
  if (line.has("json"))
    print_document(
        "store_compact",
        {{"freed_bytes", freed}, {"blocks", stats.blocks}, {"stored_bytes", stats.stored_bytes}},
        terminal);
  else
    terminal.out("freed " + human_bytes(freed) + "; " +
                 counted(static_cast<int64_t>(stats.blocks), "block") + ", " +
                 human_bytes(stats.stored_bytes) + " stored");
  return 0;
}

// What stopped runs leave in the folder of their records.
bool is_left_by_run(std::string_view name) {
  return is_temporary_name(name) || is_journal_name(name);
}

Result<int> collect(StoreTarget& target, const CommandLine& line, Terminal& terminal) {
  const std::optional<int64_t> bound = line.number("max-bytes");
  if (bound && *bound < 1)
    return Error{ErrorCode::kConfig, "--max-bytes: must be >= 1, got " + std::to_string(*bound),
                 ""};
  const auto max_bytes = static_cast<uint64_t>(bound.value_or(0));
  const bool dry = line.has("dry-run");
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats before, target.store().stats());
  Leftovers left = leftovers_of(before);
  int64_t dropped = 0;
  const auto tell = [&](const KvEntry& entry) {
    ++dropped;
    if (dry && !line.has("json"))
      terminal.out("would drop " + entry.key.hex() + "  " + human_bytes(entry.stored_bytes));
  };
  // Fails, rather than drop what a damaged pool may need.
  DBSA_ASSIGN_OR_RETURN(const uint64_t freed, target.store().collect(max_bytes, dry, tell));
  if (!dry) {
    remove_leftovers(packed_weights_folder());
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats after, target.store().stats());
    const Leftovers still = leftovers_of(after);
    left.files = std::max<int64_t>(0, left.files - still.files);
    left.bytes -= std::min(left.bytes, still.bytes);
  }
  if (const std::string& records = target.output_directory(); !records.empty()) {
    const Leftovers found =
        dry ? count_leftovers(records, is_left_by_run) : remove_leftovers(records, is_left_by_run);
    left.files += found.files;
    left.bytes += found.bytes;
  }
  if (line.has("json"))
    print_document("store_gc",
                   {{"dry_run", dry},
                    {"blocks_dropped", dropped},
                    {"freed_bytes", freed},
                    {"blocks_kept", static_cast<int64_t>(before.blocks) - dropped},
                    {"leftovers_removed", files_to_json(left.files, left.bytes)}},
                   terminal);
  else
    terminal.out((dry ? "would drop " : "dropped ") + counted(dropped, "block") + ", " +
                 human_bytes(freed) + "; " +
                 counted(static_cast<int64_t>(before.blocks) - dropped, "block") + " kept");
  if (left.files > 0 && !line.has("json"))
    terminal.out((dry ? "would remove " : "removed ") + counted(left.files, "file") +
                 " left from processes that were killed, " + human_bytes(left.bytes));
  return 0;
}

// ---- commands ----------------------------------------------------------------------------------

CommandLine list_line() {
  CommandLine line({"store list", "STORE", "List the blocks of a store, oldest first.", kStoreText,
                    "dbsa-pipe store list .dbsa\n"
                    "dbsa-pipe store list pipeline.toml --pool 3f2a --json"});
  line.value("pool", "POOL",
             "only the blocks of this pool, in its order; POOL may be the beginning of its id");
  return store_line(std::move(line));
}

int list_command(Words words, Terminal& terminal) {
  return with_store(list_line(), words, terminal, list);
}

CommandLine pools_line() {
  CommandLine line({"store pools", "STORE", "List the pools of a store.",
                    std::string(kStoreText) +
                        "\nA pool is what `encode` and `run` make of a pipeline's "
                        "demonstrations: which stand in which\nblock, and the keys of the blocks. "
                        "`query` and `explain --query` answer from it.",
                    "dbsa-pipe store pools .dbsa\n"
                    "dbsa-pipe store pools pipeline.toml --json"});
  return store_line(std::move(line));
}

int pools_command(Words words, Terminal& terminal) {
  return with_store(pools_line(), words, terminal, list_pools);
}

CommandLine rm_line() {
  CommandLine line({"store rm", "STORE POOL", "Give up a pool.",
                    std::string(kStoreText) +
                        "\nPOOL is the id of a pool as `store pools` shows it, or its beginning. "
                        "Its blocks stay until\n`store gc` drops those that no other pool uses; "
                        "encoded again before that, it finds them.",
                    "dbsa-pipe store rm .dbsa 3f2a --dry-run\n"
                    "dbsa-pipe store rm .dbsa 3f2a"});
  line.flag("dry-run", "say what would be removed, and remove nothing");
  return store_line(std::move(line), {"STORE", "POOL"});
}

int rm_command(Words words, Terminal& terminal) {
  return with_store(rm_line(), words, terminal, remove_pool);
}

CommandLine verify_line() {
  CommandLine line({"store verify", "STORE",
                    "Read a whole store and report every fault; exit code 5 when there is one.",
                    kStoreText, "dbsa-pipe store verify .dbsa"});
  return store_line(std::move(line));
}

int verify_command(Words words, Terminal& terminal) {
  return with_store(verify_line(), words, terminal, verify);
}

CommandLine compact_line() {
  CommandLine line({"store compact", "STORE", "Rewrite a store without holes and in few files.",
                    kStoreText, "dbsa-pipe store compact .dbsa"});
  return store_line(std::move(line));
}

int compact_command(Words words, Terminal& terminal) {
  return with_store(compact_line(), words, terminal, compact);
}

CommandLine gc_line() {
  CommandLine line(
      {"store gc", "STORE", "Drop blocks that no pool uses, and what killed processes left.",
       std::string(kStoreText) + "\n`store pools` shows the pools, `store rm` gives one up. If "
                                 "STORE is a pipeline file, what\nstopped runs left in "
                                 "output.directory goes too, the answers they kept included.",
       "dbsa-pipe store gc .dbsa --dry-run\n"
       "dbsa-pipe store gc .dbsa --max-bytes 10000000000"});
  line.integer("max-bytes", "N", "drop only the oldest ones, until at most N bytes are stored");
  line.flag("dry-run", "say what would be dropped, and drop nothing");
  return store_line(std::move(line));
}

int gc_command(Words words, Terminal& terminal) {
  return with_store(gc_line(), words, terminal, collect);
}

struct Subcommand {
  const char* name;
  const char* summary;
  int (*run)(Words words, Terminal& terminal);
  CommandLine (*line)();
};

constexpr Subcommand kSubcommands[] = {
    {"list", "list the blocks", list_command, list_line},
    {"pools", "list the pools", pools_command, pools_line},
    {"verify", "read everything and report every fault", verify_command, verify_line},
    {"export", "write blocks as NumPy files", store_export_command, store_export_command_line},
    {"compact", "rewrite without holes", compact_command, compact_line},
    {"rm", "give up a pool", rm_command, rm_line},
    {"gc", "drop blocks that no pool uses, and leftovers", gc_command, gc_line},
};

void print_store_help(Terminal& terminal) {
  terminal.out("Look after a KV store.\n");
  terminal.out(terminal.out_style(Style::kBold, "Usage:") +
               " dbsa-pipe store COMMAND STORE [options]\n\n" + kStoreText + "\n");
  terminal.out(terminal.out_style(Style::kBold, "Commands:"));
  for (const Subcommand& command : kSubcommands) {
    std::string name = command.name;
    name.resize(10, ' ');
    terminal.out("  " + terminal.out_style(Style::kGreen, name) + command.summary);
  }
  terminal.out("\n" + terminal.out_style(Style::kBold, "Example:"));
  terminal.out("  dbsa-pipe store list .dbsa");
}

}  // namespace

std::vector<CommandLine> store_command_lines() {
  std::vector<CommandLine> lines;
  for (const Subcommand& command : kSubcommands) lines.push_back(command.line());
  return lines;
}

int store_command(Words words, Terminal& terminal) {
  std::vector<std::string> asked;
  if (words.size() > 1 && words.front() == "help") {  // `help gc` is `gc --help`
    asked.assign(words.begin() + 1, words.end());
    asked.emplace_back("--help");
    words = asked;
  }
  const std::string name = words.empty() ? "" : words.front();
  if (name.empty() || name == "--help" || name == "-h" || name == "help") {
    print_store_help(terminal);
    return name.empty() ? exit_code(ErrorCode::kConfig) : 0;
  }
  std::vector<std::string> names;
  for (const Subcommand& command : kSubcommands) {
    if (command.name == name) return command.run(words.subspan(1), terminal);
    names.emplace_back(command.name);
  }
  const std::string what =
      "dbsa-pipe store: unknown command " + in_quotes(name) + did_you_mean(name, names);
  return fail(terminal,
              Error{ErrorCode::kConfig, with_hint(what, "see `dbsa-pipe store --help`"), ""});
}

}  // namespace dbsa::cli
