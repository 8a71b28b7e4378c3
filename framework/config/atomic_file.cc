#include "config/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace dbsa {
namespace {

Error refused(const std::string& path, const char* what) {
  return Error{ErrorCode::kEnvironment, path + ": cannot " + what + ": " + std::strerror(errno),
               ""};
}

Status sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return refused(folder, "open the folder");
  const int failed = ::fsync(descriptor);
  ::close(descriptor);
  if (failed != 0) return refused(folder, "sync the folder");
  return {};
}

Status write_all(int descriptor, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return refused(path, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status write_all(int descriptor, std::span<const std::string_view> pieces,
                 const std::string& path) {
  for (const std::string_view piece : pieces)
    DBSA_RETURN_IF_ERROR(write_all(descriptor, piece, path));
  if (::fsync(descriptor) != 0) return refused(path, "sync");
  return {};
}

}  // namespace

Status write_file_atomically(const std::string& path, std::string_view bytes) {
  return write_file_atomically(path, {&bytes, 1});
}

Status write_file_atomically(const std::string& path, std::span<const std::string_view> pieces) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return Error{ErrorCode::kEnvironment,
                 folder.string() + ": cannot make the folder: " + failed.message(), ""};
  std::string temporary = path + ".tmp-XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) return refused(path, "make a file beside it");
  Status status = write_all(descriptor, pieces, path);
  if (::fchmod(descriptor, 0644) != 0 && status.ok()) status = refused(path, "set its mode");
  ::close(descriptor);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = refused(path, "rename to it");
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return sync_folder(folder.string());
}

}  // namespace dbsa
