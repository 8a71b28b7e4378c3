#include "pool_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "store_lock.h"

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSuffix = ".pool";
// Texts, tokens and an index: some KiB for each demonstration.
constexpr uint64_t kMaxBytes = uint64_t{4} << 30;

Error unreadable(const fs::path& path, const std::string& why) {
  return {ErrorCode::kEnvironment, path.string() + ": cannot be read: " + why, ""};
}

Error no_pool(const fs::path& path) {
  return {ErrorCode::kNotFound, path.string() + ": no such pool", ""};
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// A regular file, whole. kNotFound, kEnvironment.
Result<std::vector<uint8_t>> read_whole(const fs::path& path) {
  const UniqueFd file(uninterrupted(
      [&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  if (!file.valid()) return errno == ENOENT ? no_pool(path) : unreadable(path, errno_text(errno));
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return unreadable(path, errno_text(errno));
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::kEnvironment,
                 path.string() + ": expected a regular file, found " + kind_of(info.st_mode) +
                     "; remove it and run `dbsa-pipe encode` again (stored blocks are reused)",
                 ""};
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > kMaxBytes)
    return unreadable(path, "it has " + std::to_string(size) + " bytes, at most " +
                                std::to_string(kMaxBytes) + " are read");
  std::vector<uint8_t> bytes(size);
  size_t read = 0;
  while (read < bytes.size()) {
    const ssize_t n = uninterrupted([&] {
      return pread(file.get(), bytes.data() + read, bytes.size() - read, static_cast<off_t>(read));
    });
    if (n < 0) return unreadable(path, errno_text(errno));
    if (n == 0) break;  // cut short meanwhile, which the checksum tells
    read += static_cast<size_t>(n);
  }
  bytes.resize(read);
  return bytes;
}

std::string temporary_name() {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string name(kTemporaryPrefix);
  name += std::to_string(getpid()) + "-";
  for (int i = 0; i < 8; ++i) name += kLetters[random() % (sizeof kLetters - 1)];
  return name;
}

// Removes a file that did not get its name.
class RemoveUnlessKept {
 public:
  explicit RemoveUnlessKept(fs::path path) : path_(std::move(path)) {}
  RemoveUnlessKept(const RemoveUnlessKept&) = delete;
  RemoveUnlessKept& operator=(const RemoveUnlessKept&) = delete;
  ~RemoveUnlessKept() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

}  // namespace

Result<fs::path> PoolFolder::file_of(const std::string& id) const {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (id.empty() || id.size() > DBSA_KV_POOL_ID_MAX || !std::ranges::all_of(id, allowed))
    return Error{ErrorCode::kInvalidArgument, "\"" + id + "\" is not the id of a pool", ""};
  return folder_ / (id + std::string(kSuffix));
}

Status PoolFolder::put(const KvPool& pool) const {
  DBSA_ASSIGN_OR_RETURN(const fs::path path, file_of(pool.id));
  const std::vector<uint8_t> bytes = write_pool(pool.document, pool.keys);
  const std::string doing =
      "writing pool " + pool.id + " (" + std::to_string(bytes.size()) + " bytes)";
  if (bytes.size() > kMaxBytes)
    return Error{ErrorCode::kEnvironment,
                 root_.string() + ": " + doing + ": at most " + std::to_string(kMaxBytes) +
                     " are kept; use fewer demonstrations",
                 ""};
  const Result<std::vector<uint8_t>> there = read_whole(path);
  if (there.ok() && *there == bytes) return {};
  DBSA_RETURN_IF_ERROR(make_folders(root_, folder_));
  remove_leftovers(folder_, host_);
  const fs::path temporary = folder_ / temporary_name();
  const UniqueFd file(uninterrupted(
      [&] { return open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (!file.valid()) return write_error(root_, doing, errno);
  RemoveUnlessKept half_written(temporary);
  int code = lock_file(file.get(), LOCK_EX | LOCK_NB);
  if (code == 0) code = write_at(file.get(), bytes, 0);
  if (code == 0) code = sync_file(file.get());
  if (code == 0 && rename(temporary.c_str(), path.c_str()) != 0) code = errno;
  if (code != 0) return write_error(root_, doing, code);
  half_written.keep();
  if (code = sync_folder(folder_); code != 0) return write_error(root_, doing, code);
  return {};
}

Result<PoolContent> PoolFolder::read(const fs::path& path) const {
  DBSA_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, read_whole(path));
  Result<PoolContent> content = read_pool(bytes);
  if (content.ok()) return content;
  return Error{content.error().code,
               path.string() + ": not a sound pool: " + content.error().message +
                   "; remove the file and run `dbsa-pipe encode` again (stored blocks are reused)",
               ""};
}

Result<KvPool> PoolFolder::get(const std::string& id) const {
  DBSA_ASSIGN_OR_RETURN(const fs::path path, file_of(id));
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) return no_pool(path);
  DBSA_ASSIGN_OR_RETURN(PoolContent content, read(path));
  return KvPool{id, std::move(content.document), std::move(content.keys), info.st_mtime,
                path.string()};
}

Result<std::vector<KvPool>> PoolFolder::list() const {
  std::vector<KvPool> pools;
  std::error_code failed;
  fs::directory_iterator entry(folder_, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    const fs::path& path = entry->path();
    struct stat info = {};
    if (path.extension() != kSuffix || stat(path.c_str(), &info) != 0) continue;
    pools.push_back({path.stem().string(), {}, {}, info.st_mtime, path.string()});
  }
  if (failed && failed != std::errc::no_such_file_or_directory)
    return unreadable(folder_, failed.message());
  return pools;
}

Status PoolFolder::drop(const std::string& id) const {
  DBSA_ASSIGN_OR_RETURN(const fs::path path, file_of(id));
  if (unlink(path.c_str()) != 0)
    return errno == ENOENT ? no_pool(path) : write_error(root_, "removing pool " + id, errno);
  if (const int code = sync_folder(folder_); code != 0)
    return write_error(root_, "removing pool " + id, code);
  return {};
}

Result<std::vector<KvKey>> PoolFolder::keys() const {
  std::vector<KvKey> keys;
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvPool> pools, list());
  for (const KvPool& pool : pools) {
    const Result<PoolContent> content = read(pool.location);
    if (!content.ok() && content.error().code == ErrorCode::kNotFound) continue;  // dropped since
    if (!content.ok()) return content.error();
    if (!content->keys_known)
      return Error{
          ErrorCode::kConfig,
          pool.location +
              ": was written by an earlier version and does not say which blocks it needs; "
              "run `dbsa-pipe encode` with its pipeline, which encodes none of them again, "
              "or give the pool up with `dbsa-pipe store rm`",
          ""};
    keys.insert(keys.end(), content->keys.begin(), content->keys.end());
  }
  return keys;
}

}  // namespace dbsa::kv_pack
