#include "model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/lfs_pointer.h"

namespace dbsa {
namespace {

Error environment(const std::string& path, const std::string& what) {
  return {ErrorCode::kEnvironment, path + ": " + what, {}};
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  // Does not wait for a writer where the name is a FIFO's.
  file.descriptor_.set(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  if (!file.descriptor_.valid())
    return environment(path,
                       std::string("cannot be opened: ") + std::strerror(errno) +
                           (errno == ENOENT ? "; expected a whole Hugging Face model folder" : ""));
  DBSA_ASSIGN_OR_RETURN(file.identity_, settled_identity(file.descriptor_.get(), path));
  const uint64_t bytes = file.identity_.bytes;
  if (bytes > 0) {
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.descriptor_.get(), 0);
    if (map == MAP_FAILED)
      return environment(path, std::string("cannot be mapped: ") + std::strerror(errno));
    file.map_ = static_cast<unsigned char*>(map);
    file.map_bytes_ = bytes;
  }
  const std::string_view start(reinterpret_cast<const char*>(file.map_),
                               std::min<uint64_t>(bytes, 512));
  if (const std::string fault = lfs_pointer_fault(start); !fault.empty())
    return environment(path, fault);
  DBSA_ASSIGN_OR_RETURN(file.header_, parse_safetensors_header(path, bytes, {file.map_, bytes}));
  return file;
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::move(other.descriptor_)),
      identity_(other.identity_),
      header_(std::move(other.header_)),
      map_(std::exchange(other.map_, nullptr)),
      map_bytes_(std::exchange(other.map_bytes_, 0)) {}

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(identity_, other.identity_);
  std::swap(header_, other.header_);
  std::swap(map_, other.map_);
  std::swap(map_bytes_, other.map_bytes_);
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto& entries = header_.entries;
  auto it = std::lower_bound(entries.begin(), entries.end(), name,
                             [](const auto& entry, std::string_view n) { return entry.name < n; });
  return it != entries.end() && it->name == name ? &*it : nullptr;
}

Result<TensorView> SafetensorsFile::tensor(std::string_view name) const {
  const SafetensorsEntry* entry = find(name);
  const std::string label = path_ + ": tensor '" + std::string(name) + "'";
  if (entry == nullptr) return Error{ErrorCode::kNotFound, label + " is not in this file", {}};
  if (entry->dtype == TensorDtype::kOther) {
    return Error{ErrorCode::kConfig,
                 label + ": expected F32, F16 or BF16, found " + entry->dtype_name +
                     "; convert the checkpoint to one of these types (quantised checkpoints are "
                     "not read)",
                 {}};
  }
  return TensorView{entry->name, entry->dtype, entry->shape, map_ + entry->begin, entry->bytes};
}

std::span<const unsigned char> SafetensorsFile::bytes(const SafetensorsEntry& entry) const {
  return {map_ + entry.begin, entry.bytes};
}

void SafetensorsFile::release_pages(const SafetensorsEntry& entry) const {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t first = (entry.begin + page - 1) / page * page;
  const uint64_t end = (entry.begin + entry.bytes) / page * page;
  // Advice: if the kernel declines, only memory is lost.
  if (first < end) ::madvise(map_ + first, end - first, MADV_DONTNEED);
}

}  // namespace dbsa
