// The few file calls the store needs, each with an error a user can act on.
#pragma once

#include <dbsa/sdk/result.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace dbsa::kv_pack {

// An open file, closed with it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// call() until no signal interrupts it. Not for close, which ends the descriptor in any case.
template <typename Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// What errno says, thread-safely.
std::string errno_text(int code);

// kEnvironment for a write to the store at `root` that failed with errno `code` while `doing`
// ("storing block ab12.. (4096 bytes)"). Names the path, the free bytes and what to do.
Error write_error(const std::filesystem::path& root, const std::string& doing, int code);

// Free bytes for an unprivileged user on the disk of `path` or of its nearest existing parent.
uint64_t free_bytes(const std::filesystem::path& path);

// flock of an open file; errno or 0.
int lock_file(int fd, int operation);
// Writes all of `bytes` at `offset`; errno or 0.
int write_at(int fd, std::span<const uint8_t> bytes, uint64_t offset);
// Makes sure of disk space for [offset, offset + length) without changing the file's size, where
// the file system can; errno or 0.
int reserve(int fd, uint64_t offset, uint64_t length);
// fsync and ftruncate, again where a signal came between; errno or 0.
int sync_file(int fd);
int truncate_file(int fd, uint64_t bytes);
// fsync of a folder, so that names in it are durable; errno or 0.
int sync_folder(const std::filesystem::path& folder);
// Makes a folder and its parents, durably. kEnvironment.
Status make_folders(const std::filesystem::path& root, const std::filesystem::path& folder);
// Renames within one folder, refusing to replace; errno or 0 (EEXIST when `to` exists).
int rename_new(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dbsa::kv_pack
