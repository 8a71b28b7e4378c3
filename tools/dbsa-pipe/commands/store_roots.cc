#include "commands/store_roots.h"

#include <filesystem>

#include "config/path_kind.h"
#include "pipeline/pool/pool_manifest.h"

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

// Bytes of the files in a store's folder, without what the framework keeps beside the blocks and
// without what links lead to. kEnvironment when a folder cannot be read.
Result<uint64_t> bytes_in(const std::string& store_path) {
  uint64_t bytes = 0;
  std::error_code failed;
  fs::recursive_directory_iterator entry(store_path, fs::directory_options::skip_permission_denied,
                                         failed);
  for (const fs::recursive_directory_iterator end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code gone;
    const fs::path name = entry->path().filename();
    if (entry.depth() == 0 && (name == "pools" || name == "weights" || name == "calibrations"))
      entry.disable_recursion_pending();
    else if (!entry->is_symlink(gone) && entry->is_regular_file(gone))
      if (const uint64_t size = entry->file_size(gone); !gone) bytes += size;
    if (gone && gone != std::errc::no_such_file_or_directory) failed = gone;
    if (failed) break;
  }
  if (failed)
    return Error{ErrorCode::kEnvironment, store_path + ": cannot be read: " + failed.message(), ""};
  return bytes;
}

}  // namespace

Result<std::vector<std::string>> pool_folders(StoreTarget& target,
                                              const std::vector<std::string>& named) {
  std::vector<std::string> folders = {target.path()};
  for (const std::string& folder : named) {
    const std::string pools = folder + "/pools";
    DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(pools));
    std::error_code other;
    const bool own = fs::equivalent(folder, target.path(), other);  // may have no pool any more
    if (kind != PathKind::kFolder && !own)
      return Error{ErrorCode::kEnvironment,
                   "--pools " + folder + ": expected a folder with pools, found no folder " + pools,
                   ""};
    if (!own) folders.push_back(folder);
  }
  if (!named.empty()) return folders;
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, target.store().stats());
  DBSA_ASSIGN_OR_RETURN(const uint64_t bytes_here, bytes_in(target.path()));
  if (stats.stored_bytes <= bytes_here) return folders;
  return Error{
      ErrorCode::kConfig,
      target.path() +
          ": the blocks of this store do not lie in this folder, and pools in other "
          "folders may use them; name each folder whose pools use the store (kv_store.path "
          "of their pipelines) with --pools DIR, this one if there is no other",
      ""};
}

Result<std::vector<KvKey>> roots_of(const std::vector<std::string>& folders) {
  std::vector<KvKey> all;
  for (const std::string& folder : folders) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<KvKey> keys, pool_roots(folder));
    all.insert(all.end(), keys.begin(), keys.end());
  }
  return all;
}

}  // namespace dbsa::cli
