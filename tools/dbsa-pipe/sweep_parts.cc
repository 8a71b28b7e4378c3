#include "sweep_parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

int open_folder(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Whether the open folder is still what stands at its path.
bool is_at(int descriptor, const std::string& path) {
  struct stat open = {}, there = {};
  return ::fstat(descriptor, &open) == 0 && ::stat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

}  // namespace

PartFolder::PartFolder(PartFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), descriptor_(std::exchange(other.descriptor_, -1)) {}

PartFolder& PartFolder::operator=(PartFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

PartFolder::~PartFolder() {
  if (descriptor_ < 0) return;
  std::error_code failed;
  fs::remove_all(path_, failed);
  fs::remove(fs::path(path_).parent_path(), failed);  // where it is empty
  ::close(descriptor_);
}

Result<PartFolder> PartFolder::make(const std::string& parts, const std::string& cell_id) {
  // Another sweep may remove `parts`, or the new folder before it is locked: then again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::error_code failed;
    fs::create_directories(parts, failed);
    PartFolder part;
    part.path_ = parts + "/" + cell_id + "-XXXXXX";
    if (::mkdtemp(part.path_.data()) == nullptr) {
      if (errno == ENOENT && !failed) continue;
      break;
    }
    part.descriptor_ = open_folder(part.path_);
    if (part.descriptor_ < 0 && errno == ENOENT) continue;
    if (part.descriptor_ < 0) break;
    // On a file system without locks nothing is ever taken for left behind.
    while (::flock(part.descriptor_, LOCK_EX) != 0 && errno == EINTR) continue;
    if (is_at(part.descriptor_, part.path_)) return part;
  }
  return Error{ErrorCode::kEnvironment,
               parts + ": cannot make a folder there: " + std::strerror(errno), ""};
}

void remove_stale_parts(const std::string& parts, const std::set<std::string>& cell_ids) {
  std::error_code failed;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(parts, failed)) {
    const std::string name = entry.path().filename().string();
    if (cell_ids.contains(name.substr(0, name.find('-')))) found.push_back(entry.path());
  }
  for (const fs::path& part : found) {
    const int descriptor = open_folder(part.string());
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) fs::remove_all(part, failed);
    ::close(descriptor);
  }
  fs::remove(parts, failed);  // where it is empty
}

}  // namespace dbsa::cli
