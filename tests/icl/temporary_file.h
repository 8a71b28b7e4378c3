// A file that lasts as long as the object.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

namespace dbsa::testing {

class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& bytes) {
    static std::atomic<int> next = 0;
    folder_ = std::filesystem::temp_directory_path() /
              ("dbsa_" + std::to_string(getpid()) + "_" + std::to_string(next++));
    std::filesystem::create_directories(folder_);
    path_ = folder_ / name;
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove_all(folder_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

}  // namespace dbsa::testing
