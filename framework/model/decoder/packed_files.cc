#include "model/decoder/packed_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <tuple>

#include "config/folder_access.h"
#include "config/hash128.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".safetensors";

// A hash of 32 hexadecimal digits and the suffix: nothing else is touched.
bool is_packed_name(std::string_view name) {
  return name.size() == Hash128::kDigits + kSuffix.size() && name.ends_with(kSuffix) &&
         name.substr(0, name.size() - kSuffix.size()).find_first_not_of("0123456789abcdef") ==
             name.npos;
}

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::string packed_weights_folder() {
  const std::string cache = default_cache_folder();
  std::error_code failed;
  const bool usable =
      !cache.empty() && (fs::is_directory(cache, failed) || folder_fault(cache).empty());
  return usable ? cache + "/weights" : "";
}

std::vector<PackedFile> packed_files(const std::string& folder) {
  std::vector<PackedFile> files;
  std::error_code failed;
  fs::directory_iterator entry(folder, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    struct stat info = {};
    const std::string path = entry->path().string();
    if (!is_packed_name(entry->path().filename().string()) || ::stat(path.c_str(), &info) != 0 ||
        !S_ISREG(info.st_mode))
      continue;
    files.push_back({path, static_cast<uint64_t>(info.st_size),
                     std::max(nanoseconds(info.st_atim), nanoseconds(info.st_mtim))});
  }
  std::sort(files.begin(), files.end(), [](const PackedFile& a, const PackedFile& b) {
    return std::tie(a.used_ns, a.path) < std::tie(b.used_ns, b.path);
  });
  return files;
}

void make_packed_room(const std::string& folder, const std::string& path, uint64_t bytes,
                      uint64_t max_bytes) {
  std::vector<PackedFile> others = packed_files(folder);
  std::erase_if(others, [&](const PackedFile& file) { return file.path == path; });
  uint64_t all = bytes;
  for (const PackedFile& file : others) all += file.bytes;
  for (const PackedFile& file : others) {
    if (all <= max_bytes) return;
    std::error_code failed;
    if (fs::remove(file.path, failed)) all -= file.bytes;
  }
}

}  // namespace dbsa
