#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/path_kind.h"
#include "config/read_file.h"
#include "pipeline/encode/hasher.h"
#include "pipeline/identity/identity.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxInputBytes = uint64_t{4} << 30;
constexpr size_t kMaxEntries = 10000;

Error unreadable(const fs::path& path, const std::error_code& why) {
  return Error{ErrorCode::kEnvironment,
               path.string() + ": cannot be read: " + why.message() + "; correct its permissions",
               ""};
}

// Hashes a folder: names, ascending, with what is under each.
class FolderHash {
 public:
  explicit FolderHash(std::string root) : root_(std::move(root)) {}

  Status add(const fs::path& folder, const std::string& prefix) {
    std::error_code failed;
    const fs::path real = fs::canonical(folder, failed);
    if (failed) return unreadable(folder, failed);
    // Links may lead around in a circle: the second time it is where it was first.
    const auto [at, first_time] = entered_.emplace(real.string(), prefix);
    if (!first_time) {
      hasher_.text(at->second);
      return {};
    }
    DBSA_ASSIGN_OR_RETURN(const std::vector<std::string> names, names_in(folder));
    for (const std::string& name : names)
      DBSA_RETURN_IF_ERROR(add_entry(folder / name, prefix + name));
    return {};
  }

  std::string hex() const { return hasher_.finish().hex(); }

 private:
  Result<std::vector<std::string>> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code failed;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end;
         at.increment(failed)) {
      if (++entries_ > kMaxEntries)
        return Error{ErrorCode::kEnvironment,
                     root_ + ": must hold at most " + std::to_string(kMaxEntries) +
                         " files, as their content tells results apart, got more; name a folder "
                         "that holds only what is needed",
                     ""};
      names.push_back(at->path().filename().string());
    }
    if (failed) return unreadable(folder, failed);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status add_entry(const fs::path& path, const std::string& name) {
    DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path.string()));
    hasher_.text(name);
    hasher_.integer(static_cast<int64_t>(kind));
    if (kind == PathKind::kFolder) return add(path, name + "/");
    if (kind != PathKind::kFile) return {};
    DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(path.string(), kMaxInputBytes));
    hasher_.text(file.text);
    return {};
  }

  std::string root_;
  Hasher hasher_;
  std::map<std::string, std::string> entered_;  // from paths without links
  size_t entries_ = 0;
};

}  // namespace

Result<std::string> content_identity(const std::string& path) {
  if (path.empty()) return std::string();
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path));
  if (kind == PathKind::kFolder) {
    FolderHash folder(path);
    DBSA_RETURN_IF_ERROR(folder.add(path, ""));
    return folder.hex();
  }
  if (kind != PathKind::kFile) return path;
  DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(path, kMaxInputBytes));
  Hasher hasher;
  hasher.text(file.text);
  return hasher.finish().hex();
}

}  // namespace dbsa
