#include "config/file_identity.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace dbsa {
namespace {

Result<FileIdentity> examined(int failed, const struct stat& info, const std::string& path) {
  if (failed == 0) return identity_of(info);
  return Error{ErrorCode::kEnvironment, path + ": cannot be examined: " + std::strerror(errno), ""};
}

}  // namespace

FileIdentity identity_of(const struct stat& info) {
  constexpr int64_t kSecond = 1'000'000'000;
  return {static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino),
          static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec,
          info.st_ctim.tv_sec * kSecond + info.st_ctim.tv_nsec};
}

Result<FileIdentity> identity_of(int descriptor, const std::string& path) {
  struct stat info = {};
  const int failed = ::fstat(descriptor, &info);
  return examined(failed, info, path);
}

Result<FileIdentity> file_identity(const std::string& path) {
  struct stat info = {};
  const int failed = ::stat(path.c_str(), &info);
  return examined(failed, info, path);
}

}  // namespace dbsa
