#include "config/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "config/file_calls.h"
#include "config/lfs_pointer.h"

namespace dbsa {
namespace {

constexpr int kAttempts = 3;

Error unreadable(const std::string& path, const std::string& what) {
  return {ErrorCode::kEnvironment, path + ": " + what, ""};
}

Error cannot_open(const std::string& path) {
  const bool absent = errno == ENOENT || errno == ENOTDIR;
  return {absent ? ErrorCode::kNotFound : ErrorCode::kEnvironment,
          path + ": cannot be opened: " + std::strerror(errno), ""};
}

Status check_regular(const std::string& path, mode_t mode) {
  if (S_ISREG(mode)) return {};
  const char* kind = S_ISDIR(mode)    ? "a folder"
                     : S_ISFIFO(mode) ? "a named pipe"
                     : S_ISSOCK(mode) ? "a socket"
                                      : "a device";
  return unreadable(
      path, std::string("expected a regular file, found ") + kind + "; name a regular file");
}

class InputFile {
 public:
  static Result<InputFile> open(const std::string& path) {
    // Looked at before it is opened, because merely opening a device may make it act, and again
    // after, because the name may have changed hands.
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) return cannot_open(path);
    DBSA_RETURN_IF_ERROR(check_regular(path, info.st_mode));
    InputFile file(path);
    file.descriptor_.set(uninterrupted(
        [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
    if (!file.descriptor_.valid()) return cannot_open(path);
    if (::fstat(file.descriptor_.get(), &info) != 0) return file.cannot_read();
    DBSA_RETURN_IF_ERROR(check_regular(path, info.st_mode));
    return file;
  }

  Result<FileIdentity> identity() const { return identity_of(descriptor_.get(), path_); }
  Result<FileIdentity> settled_identity() const {
    return dbsa::settled_identity(descriptor_.get(), path_);
  }

  // What lies from `begin` on, `most` bytes of it. `expected`: how much there is likely to be.
  Result<std::string> read(uint64_t begin, uint64_t most, uint64_t expected) const {
    constexpr uint64_t kPart = 1 << 16;
    std::string text;
    uint64_t size = 0;
    while (size < most) {
      // One byte more than expected, so that the end shows without another round.
      const uint64_t wanted = expected > 0 && size <= expected ? expected + 1 - size : kPart;
      text.resize(size + std::min(most - size, wanted));
      const ssize_t some = uninterrupted([&] {
        return ::pread(descriptor_.get(), text.data() + size, text.size() - size,
                       static_cast<off_t>(begin + size));
      });
      if (some < 0) return cannot_read();
      if (some == 0) break;
      size += static_cast<uint64_t>(some);
    }
    text.resize(size);
    return text;
  }

 private:
  explicit InputFile(std::string path) : path_(std::move(path)) {}

  Error cannot_read() const { return file_error(path_, "be read", errno); }

  std::string path_;
  Descriptor descriptor_;
};

}  // namespace

Result<FileText> read_file(const std::string& path, uint64_t max_bytes) {
  const auto too_large = [&](const std::string& found) {
    return unreadable(path, "expected a file of at most " + std::to_string(max_bytes) +
                                " bytes, found " + found + "; check that it is the right file");
  };
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    DBSA_ASSIGN_OR_RETURN(const InputFile file, InputFile::open(path));
    DBSA_ASSIGN_OR_RETURN(const FileIdentity before, file.settled_identity());
    if (before.bytes > max_bytes) return too_large("one of " + std::to_string(before.bytes));
    DBSA_ASSIGN_OR_RETURN(std::string text, file.read(0, max_bytes + 1, before.bytes));
    if (text.size() > max_bytes) return too_large("a larger one");
    DBSA_ASSIGN_OR_RETURN(const FileIdentity after, file.identity());
    if (after != before) continue;
    if (const std::string fault = lfs_pointer_fault(text); !fault.empty())
      return unreadable(path, fault);
    return FileText{std::move(text), after};
  }
  return unreadable(path, "is being written by another program; start again once it is complete");
}

Result<std::string> read_file_end(const std::string& path, uint64_t bytes) {
  DBSA_ASSIGN_OR_RETURN(const InputFile file, InputFile::open(path));
  DBSA_ASSIGN_OR_RETURN(const FileIdentity now, file.identity());
  return file.read(now.bytes - std::min(now.bytes, bytes), bytes, bytes);
}

}  // namespace dbsa
