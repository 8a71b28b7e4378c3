#include "file_system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

std::string errno_text(int code) { return std::generic_category().message(code); }

Error write_error(const fs::path& root, const std::string& doing, int code) {
  std::string message = root.string() + ": " + doing + " failed: " + errno_text(code);
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      message += ", " + std::to_string(free_bytes(root)) +
                 " bytes are free; free some (`dbsa-pipe store gc` drops unused blocks) or set "
                 "kv_store.path to a folder on another disk";
      break;
    case EFBIG:
      message += "; raise the limit on file sizes (ulimit -f) or lower kv_store.pack_bytes";
      break;
    case EROFS:
    case EACCES:
    case EPERM:
      message += "; make the folder writable or set kv_store.path to another one";
      break;
    default:
      break;
  }
  return {ErrorCode::kEnvironment, std::move(message), ""};
}

uint64_t free_bytes(const fs::path& path) {
  fs::path at = fs::absolute(path);
  struct statvfs info = {};
  while (statvfs(at.c_str(), &info) != 0) {
    if (at == at.parent_path()) return 0;
    at = at.parent_path();
  }
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

int lock_file(int fd, int operation) {
  return uninterrupted([&] { return flock(fd, operation); }) == 0 ? 0 : errno;
}

int write_at(int fd, std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = uninterrupted(
        [&] { return pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return 0;
}

int reserve(int fd, uint64_t offset, uint64_t length) {
  // A reservation that keeps the file's size is not held against the limit; HDF5 would meet it.
  rlimit limit = {};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && offset + length > limit.rlim_cur) return EFBIG;
  const int result = uninterrupted([&] {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length));
  });
  // Where the file system cannot, the writes themselves will tell.
  if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return 0;
  return errno;
}

int sync_file(int fd) {
  return uninterrupted([&] { return fsync(fd); }) == 0 ? 0 : errno;
}

int truncate_file(int fd, uint64_t bytes) {
  return uninterrupted([&] { return ftruncate(fd, static_cast<off_t>(bytes)); }) == 0 ? 0 : errno;
}

int sync_folder(const fs::path& folder) {
  const UniqueFd fd(
      uninterrupted([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) return errno;
  const int code = sync_file(fd.get());
  return code == EINVAL ? 0 : code;  // a file system whose folders cannot be synced
}

Status make_folders(const fs::path& root, const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return {};
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return write_error(root, "making the folder", failed.value());
  for (fs::path at = fs::absolute(folder); at != at.parent_path(); at = at.parent_path())
    if (const int code = sync_folder(at.parent_path()); code != 0) break;  // not ours to read
  return {};
}

int rename_new(const fs::path& from, const fs::path& to) {
  const auto rename = [&] {
    return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  };
  if (uninterrupted(rename) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system that cannot refuse to replace: a hard link can.
  if (link(from.c_str(), to.c_str()) != 0) return errno;
  unlink(from.c_str());
  return 0;
}

}  // namespace dbsa::kv_pack
