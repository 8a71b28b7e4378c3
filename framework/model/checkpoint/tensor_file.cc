#include "model/checkpoint/tensor_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/lfs_pointer.h"

namespace dbsa {

std::string shape_text(std::span<const int64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return out + "]";
}

std::string printable_name(std::string_view name) {
  std::string out = "'";
  for (char c : name.substr(0, 120)) {
    out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
  }
  if (name.size() > 120) out += "...";
  return out + "'";
}

Status TensorFile::map(const std::string& path, std::string_view absent_fix) {
  const auto fault = [&](const std::string& what) {
    return Error{ErrorCode::kEnvironment, path + ": " + what, {}};
  };
  path_ = path;
  // Does not wait for a writer where the name is a FIFO's.
  descriptor_.set(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  if (!descriptor_.valid())
    return fault(std::string("cannot be opened: ") + std::strerror(errno) +
                 (errno == ENOENT ? std::string(absent_fix) : ""));
  DBSA_ASSIGN_OR_RETURN(identity_, settled_identity(descriptor_.get(), path));
  const uint64_t bytes = identity_.bytes;
  if (bytes > 0) {
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor_.get(), 0);
    if (map == MAP_FAILED) return fault(std::string("cannot be mapped: ") + std::strerror(errno));
    map_ = static_cast<unsigned char*>(map);
    map_bytes_ = bytes;
  }
  const std::string_view start(reinterpret_cast<const char*>(map_), std::min<uint64_t>(bytes, 512));
  if (const std::string pointer = lfs_pointer_fault(start); !pointer.empty()) return fault(pointer);
  return {};
}

void TensorFile::set_entries(std::vector<TensorEntry> entries) {
  entries_ = std::move(entries);
  std::sort(entries_.begin(), entries_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

TensorFile::TensorFile(TensorFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::move(other.descriptor_)),
      identity_(other.identity_),
      entries_(std::move(other.entries_)),
      map_(std::exchange(other.map_, nullptr)),
      map_bytes_(std::exchange(other.map_bytes_, 0)) {}

TensorFile& TensorFile::operator=(TensorFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(identity_, other.identity_);
  std::swap(entries_, other.entries_);
  std::swap(map_, other.map_);
  std::swap(map_bytes_, other.map_bytes_);
  return *this;
}

TensorFile::~TensorFile() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

const TensorEntry* TensorFile::find(std::string_view name) const {
  const auto it = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const TensorEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

std::span<const unsigned char> TensorFile::bytes(const TensorEntry& entry) const {
  return {map_ + entry.begin, entry.bytes};
}

void TensorFile::release_pages(std::span<const unsigned char> bytes) const {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<uint64_t>(bytes.data() - map_);
  const uint64_t first = (begin + page - 1) / page * page;
  const uint64_t end = (begin + bytes.size()) / page * page;
  // Advice: if the kernel declines, only memory is lost.
  if (first < end) ::madvise(map_ + first, end - first, MADV_DONTNEED);
}

}  // namespace dbsa
