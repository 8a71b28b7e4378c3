#include "store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <thread>

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

Status StoreLock::open_file() {
  if (file_.valid()) return {};
  DBSA_RETURN_IF_ERROR(make_folders(root_, root_));
  file_ = UniqueFd(uninterrupted([&] {
    return open((root_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                0666);
  }));
  if (!file_.valid()) return write_error(root_, "opening the lock file", errno);
  struct stat info = {};
  if (fstat(file_.get(), &info) == 0 && S_ISREG(info.st_mode)) return {};
  file_ = UniqueFd();
  return Error{ErrorCode::kEnvironment,
               (root_ / "lock").string() +
                   ": expected a regular file; remove it, and it is made "
                   "again",
               ""};
}

Status StoreLock::acquire_shared(const Host& host) {
  if (shared_) return {};
  DBSA_RETURN_IF_ERROR(open_file());
  bool told = false;
  while (const int code = lock_file(file_.get(), LOCK_SH | LOCK_NB)) {
    if (code != EWOULDBLOCK) return write_error(root_, "locking the store", code);
    if (!told)
      host.log_info(root_.string() + ": waiting for " + holders() + " to finish collecting");
    told = true;
    if (host.cancelled())
      return Error{ErrorCode::kCancelled, root_.string() + ": cancelled while waiting", ""};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  shared_ = true;
  return {};
}

Status StoreLock::acquire_exclusive() {
  DBSA_RETURN_IF_ERROR(open_file());
  const int code = lock_file(file_.get(), LOCK_EX | LOCK_NB);
  if (code == 0) return {};
  // A failed conversion has dropped the shared lock; the next put takes it again.
  shared_ = false;
  if (code != EWOULDBLOCK) return write_error(root_, "locking the store", code);
  return Error{ErrorCode::kEnvironment,
               root_.string() + ": " + holders() +
                   " is writing to this store; wait until it ends, then try again",
               ""};
}

void StoreLock::release_exclusive() { lock_file(file_.get(), shared_ ? LOCK_SH : LOCK_UN); }

std::string StoreLock::holders() const {
  struct stat info = {};
  fstat(file_.get(), &info);
  const std::string inode = ":" + std::to_string(info.st_ino);
  std::set<std::string> processes;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // "1: FLOCK  ADVISORY  READ 1234 fe:00:131 0 EOF"; "->" marks one that waits
    std::istringstream words(line);
    std::string index, kind, advisory, access, process, file;
    words >> index >> kind >> advisory >> access >> process >> file;
    if (kind == "FLOCK" && process != "-1" && file.ends_with(inode)) processes.insert(process);
  }
  if (processes.empty()) return "another process";
  std::string text = "process ";
  for (const std::string& process : processes)
    text += (process == *processes.begin() ? "" : ", ") + process;
  return text;
}

namespace {

// `work` gets each file of a dead writer, and its size, while it is locked.
void each_leftover(const fs::path& folder,
                   const std::function<void(const fs::path&, uint64_t bytes)>& work) {
  std::error_code failed;
  fs::directory_iterator entry(folder, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    const fs::path path = entry->path();
    if (!path.filename().string().starts_with(kTemporaryPrefix)) continue;
    const UniqueFd file(uninterrupted(
        [&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
    if (!file.valid() || lock_file(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
    // It may have been published or removed between the listing and the lock.
    struct stat mine = {}, named = {};
    if (fstat(file.get(), &mine) != 0 || stat(path.c_str(), &named) != 0 ||
        mine.st_ino != named.st_ino)
      continue;
    work(path, static_cast<uint64_t>(mine.st_size));
  }
}

}  // namespace

Leftovers count_leftovers(const fs::path& folder) {
  Leftovers left;
  each_leftover(folder, [&](const fs::path&, uint64_t bytes) {
    ++left.files;
    left.bytes += bytes;
  });
  return left;
}

void remove_leftovers(const fs::path& folder, const Host& host) {
  each_leftover(folder, [&](const fs::path& path, uint64_t) {
    unlink(path.c_str());
    host.log_info(path.string() + ": removed what a stopped process had left");
  });
}

}  // namespace dbsa::kv_pack
