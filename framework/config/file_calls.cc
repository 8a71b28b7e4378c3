#include "config/file_calls.h"
#include "config/absolute_path.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string_view>
#include <system_error>
#include <vector>

namespace dbsa {
namespace {

namespace fs = std::filesystem;

}  // namespace

void Descriptor::close() {
  if (value_ >= 0) ::close(value_);
  value_ = -1;
}

Error file_error(const std::string& path, const std::string& what, int code) {
  return {ErrorCode::kEnvironment,
          path + ": cannot " + what + ": " + std::generic_category().message(code), ""};
}

int flush_as_closing(int descriptor) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return errno;
  // After EINTR the copy is closed, too.
  return ::close(copy) == 0 || errno == EINTR ? 0 : errno;
}

Status sync_folder(const std::string& folder) {
  const Descriptor opened(
      uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!opened.valid() && errno == EACCES) return {};
  if (!opened.valid()) return file_error(folder, "open the folder", errno);
  if (uninterrupted([&] { return ::fsync(opened.get()); }) != 0 && errno != EINVAL)
    return file_error(folder, "sync the folder", errno);
  return {};
}

Status make_folders(const std::string& folder) {
  std::vector<fs::path> missing;
  std::error_code failed;
  for (fs::path at = absolute_path(folder); !at.empty() && !fs::exists(at, failed) && !failed;
       at = at.parent_path())
    missing.push_back(at);
  failed.clear();
  fs::create_directories(folder, failed);
  if (failed) return file_error(folder, "make the folder", failed.value());
  for (const fs::path& made : missing)
    DBSA_RETURN_IF_ERROR(sync_folder(made.parent_path().string()));
  return {};
}

int rename_new(const std::string& from, const std::string& to) {
  const auto rename = [&] {
    return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  };
  if (uninterrupted(rename) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system that cannot refuse to replace. A hard link can, where there are any.
  if (uninterrupted([&] { return ::link(from.c_str(), to.c_str()); }) == 0) {
    ::unlink(from.c_str());
    return 0;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  // Else the name is taken by an empty file for the instant before it is replaced.
  const Descriptor claimed(uninterrupted(
      [&] { return ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (!claimed.valid()) return errno;
  if (uninterrupted([&] { return ::rename(from.c_str(), to.c_str()); }) == 0) return 0;
  const int code = errno;
  ::unlink(to.c_str());
  return code;
}

int lock_file(int descriptor, int operation) {
  return uninterrupted([&] { return ::flock(descriptor, operation); }) == 0 ? 0 : errno;
}

bool has_name(int descriptor, const std::string& path) {
  struct stat opened = {}, named = {};
  return ::fstat(descriptor, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

std::string random_letters(size_t count) {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device source;
  std::uniform_int_distribution<size_t> letter(0, kAlphabet.size() - 1);
  std::string text;
  for (size_t i = 0; i < count; ++i) text += kAlphabet[letter(source)];
  return text;
}

}  // namespace dbsa
