#include "config/atomic_file.h"
#include "config/absolute_path.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "config/file_calls.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp-";
constexpr size_t kLetters = 6;

std::string folder_of(const std::string& path) {
  return fs::path(absolute_path(path)).parent_path().string();
}

// A locked file beside the one it is to become; removed with this object unless it was renamed.
class TemporaryFile {
 public:
  // `path`: the final one. kEnvironment.
  static Result<TemporaryFile> make(const std::string& path) {
    for (;;) {
      TemporaryFile made(path);
      const Descriptor& file = made.file_;
      if (!file.valid() && errno == EEXIST) continue;
      if (!file.valid()) return file_error(path, "make a file beside it", errno);
      // Whoever looks for leftovers may have locked, or removed, it first: then another one.
      const int code = lock_file(file.get(), LOCK_EX | LOCK_NB);
      if (code == EWOULDBLOCK || !has_name(file.get(), made.name_)) continue;
      return made;
    }
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::move(other.path_)),
        name_(std::exchange(other.name_, {})),
        file_(std::move(other.file_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (file_.valid() && !name_.empty()) ::unlink(name_.c_str());
  }

  Status write(std::span<const std::string_view> pieces) const {
    for (const std::string_view piece : pieces) DBSA_RETURN_IF_ERROR(write(piece));
    if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0)
      return file_error(path_, "sync", errno);
    if (const int code = flush_as_closing(file_.get()); code != 0)
      return file_error(path_, "close", code);
    return {};
  }

  // Puts it in the place of `path`.
  Status replace() {
    if (uninterrupted([&] { return ::rename(name_.c_str(), path_.c_str()); }) != 0)
      return file_error(path_, "rename to it", errno);
    name_.clear();
    return {};
  }
  // Gives it a name that no file has. errno or 0.
  int rename_to(const std::string& path) {
    const int code = rename_new(name_, path);
    if (code == 0) name_.clear();
    return code;
  }

 private:
  explicit TemporaryFile(const std::string& path)
      : path_(path),
        name_(path + std::string(kMark) + random_letters(kLetters)),
        file_(uninterrupted(
            [&] { return ::open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666); })) {}

  Status write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written =
          uninterrupted([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
      if (written <= 0) return file_error(path_, "write", written < 0 ? errno : ENOSPC);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

  std::string path_, name_;
  Descriptor file_;
};

// A whole file, not yet renamed.
Result<TemporaryFile> write_temporary(const std::string& path,
                                      std::span<const std::string_view> pieces) {
  const std::string folder = folder_of(path);
  DBSA_RETURN_IF_ERROR(make_folders(folder));
  remove_leftovers(folder);
  DBSA_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::make(path));
  DBSA_RETURN_IF_ERROR(file.write(pieces));
  return file;
}

// Calls found(path, bytes) for each regular file of such a name that no process has locked, with
// its lock held.
template <typename Found>
void find_leftovers(const std::string& folder, bool (*is_temporary)(std::string_view name),
                    int access, int operation, Found found) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (!is_temporary(entry->path().filename().string())) continue;
    const std::string path = entry->path().string();
    // A name that is a FIFO must not be waited for.
    const Descriptor file(uninterrupted(
        [&] { return ::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
    struct stat info = {};
    if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (lock_file(file.get(), operation | LOCK_NB) != 0) continue;
    // It may have been renamed between the listing and the lock.
    if (has_name(file.get(), path)) found(path, static_cast<uint64_t>(info.st_size));
  }
}

}  // namespace

Status write_file_atomically(const std::string& path, std::string_view bytes) {
  return write_file_atomically(path, {&bytes, 1});
}

Status write_file_atomically(const std::string& path, std::span<const std::string_view> pieces) {
  DBSA_ASSIGN_OR_RETURN(TemporaryFile file, write_temporary(path, pieces));
  DBSA_RETURN_IF_ERROR(file.replace());
  return sync_folder(folder_of(path));
}

Result<std::string> write_new_file(const std::function<std::string(int n)>& path_of,
                                   std::string_view bytes) {
  DBSA_ASSIGN_OR_RETURN(TemporaryFile file, write_temporary(path_of(1), {&bytes, 1}));
  for (int n = 1;; ++n) {
    std::string path = path_of(n);
    const int code = file.rename_to(path);
    if (code == EEXIST) continue;
    if (code != 0) return file_error(path, "rename to it", code);
    DBSA_RETURN_IF_ERROR(sync_folder(folder_of(path)));
    return path;
  }
}

bool is_temporary_name(std::string_view name) {
  const size_t mark = name.rfind(kMark);
  if (mark == 0 || mark == name.npos || name.size() != mark + kMark.size() + kLetters) return false;
  name.remove_prefix(mark + kMark.size());
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

Leftovers count_leftovers(const std::string& folder, bool (*is_temporary)(std::string_view name)) {
  Leftovers left;
  find_leftovers(folder, is_temporary, O_RDONLY, LOCK_SH, [&](const std::string&, uint64_t bytes) {
    ++left.files;
    left.bytes += bytes;
  });
  return left;
}

Leftovers remove_leftovers(const std::string& folder, bool (*is_temporary)(std::string_view name)) {
  Leftovers removed;
  find_leftovers(folder, is_temporary, O_RDWR, LOCK_EX,
                 [&](const std::string& path, uint64_t bytes) {
                   if (::unlink(path.c_str()) != 0) return;
                   ++removed.files;
                   removed.bytes += bytes;
                 });
  return removed;
}

}  // namespace dbsa
