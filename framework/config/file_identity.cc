#include "config/file_identity.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "config/file_calls.h"

namespace dbsa {
namespace {

constexpr int64_t kSecond = 1'000'000'000;  // ns

Result<struct stat> examine(int descriptor, const std::string& name) {
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) return file_error(name, "be examined", errno);
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::kEnvironment, name + ": expected a regular file", ""};
  return info;
}

FileIdentity identity_of(const struct stat& info) {
  return {static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino),
          static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec,
          info.st_ctim.tv_sec * kSecond + info.st_ctim.tv_nsec};
}

int64_t nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

// File systems take the times of changes from this clock, which stands still between two ticks of
// the kernel's timer, 1 to 10 ms, and longer on an idle machine. From Linux 6.13 on a time may be
// ahead of it, where a file is changed after it was looked at.
int64_t coarse_now() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return nanoseconds(now);
}

int64_t tick() {
  timespec resolution = {};
  ::clock_getres(CLOCK_REALTIME_COARSE, &resolution);
  return nanoseconds(resolution);
}

// Some file systems keep whole seconds, or two (FAT).
bool keeps_seconds(const FileIdentity& identity) {
  return identity.modified_ns % kSecond == 0 && identity.changed_ns % kSecond == 0;
}

// The longest that there may be to wait.
int64_t patience(const FileIdentity& identity) {
  return keeps_seconds(identity) ? 2 * kSecond : kSecond / 5;
}

// Nanoseconds until a change would have another time; 0: it would now.
int64_t unsettled_ns(const FileIdentity& identity) {
  const int64_t now = coarse_now();
  if (keeps_seconds(identity)) return std::max<int64_t>(0, identity.changed_ns + 2 * kSecond - now);
  return now > identity.changed_ns ? 0 : identity.changed_ns - now + tick();
}

}  // namespace

Result<FileIdentity> identity_of(int descriptor, const std::string& name) {
  DBSA_ASSIGN_OR_RETURN(const struct stat info, examine(descriptor, name));
  return identity_of(info);
}

bool is_settled(const FileIdentity& identity) { return unsettled_ns(identity) == 0; }

Result<FileIdentity> settled_identity(int descriptor, const std::string& name) {
  DBSA_ASSIGN_OR_RETURN(struct stat info, examine(descriptor, name));
  FileIdentity identity = identity_of(info);
  constexpr int kPatience = 100;  // times a file may be found changed
  for (int changes = 0; changes < kPatience; ++changes) {
    const int64_t wait = unsettled_ns(identity);
    // A time to come is of a clock that was set back: it cannot be waited for.
    if (wait == 0 || wait > patience(identity)) return identity;
    std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
    DBSA_ASSIGN_OR_RETURN(info, examine(descriptor, name));
    identity = identity_of(info);
  }
  return Error{ErrorCode::kEnvironment,
               name + ": is being written by another program; start again once it is complete", ""};
}

Status check_unchanged(int descriptor, const FileIdentity& identity, const std::string& name) {
  DBSA_ASSIGN_OR_RETURN(const struct stat info, examine(descriptor, name));
  FileIdentity now = identity_of(info);
  // Losing its last name is a change of the file's status, not of its content.
  if (info.st_nlink == 0) now.changed_ns = identity.changed_ns;
  if (now == identity) return {};
  return Error{ErrorCode::kEnvironment,
               name +
                   ": was changed while it was in use, so what is computed would be of no one "
                   "version of it; start again, and replace files by renaming new ones over "
                   "them",
               ""};
}

}  // namespace dbsa
