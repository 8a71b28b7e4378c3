#include "pack_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

Result<std::shared_ptr<const Mapping>> Mapping::map(int fd, uint64_t length, const fs::path& name) {
  void* data = mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return Error{
        ErrorCode::kEnvironment,
        name.string() + ": cannot map " + std::to_string(length) + " bytes: " + errno_text(errno),
        ""};
  return std::shared_ptr<const Mapping>(new Mapping(static_cast<const uint8_t*>(data), length));
}

Mapping::~Mapping() { munmap(const_cast<uint8_t*>(data_), length_); }

namespace {

int advise(std::span<const uint8_t> bytes, int advice) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size();
  return madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

bool load_pages(std::span<const uint8_t> bytes) {
#ifdef MADV_POPULATE_READ
  while (advise(bytes, MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    return errno == EINVAL;  // a kernel before 5.14: the pages come by themselves
  }
#else
  static_cast<void>(bytes);
#endif
  return true;
}

void fetch_pages(std::span<const uint8_t> bytes) {
  static_cast<void>(advise(bytes, MADV_WILLNEED));
}

namespace {

// Brings header and index into memory; false when the disk cannot deliver them.
bool load_index(std::span<const uint8_t> file) {
  if (file.size() < kHeaderBytes) return load_pages(file);
  if (!load_pages(file.first(kHeaderBytes))) return false;
  const auto& header = *reinterpret_cast<const PackHeader*>(file.data());
  const auto load = [&](uint64_t offset, uint64_t count, uint64_t size) {
    if (offset > file.size() || count > (file.size() - offset) / size) return true;  // parse tells
    return load_pages(file.subspan(offset, count * size));
  };
  return load(header.rows_offset, header.block_count, sizeof(PackRow)) &&
         load(header.checksums_offset, header.plane_count, sizeof(uint64_t));
}

}  // namespace

Result<std::shared_ptr<PackFile>> PackFile::open(const fs::path& path, uint64_t number) {
  const auto fault = [&](ErrorCode code, const std::string& what) {
    return Error{code, path.string() + ": " + what, ""};
  };
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid())
    return fault(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kEnvironment,
                 "cannot be opened: " + errno_text(errno));
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fault(ErrorCode::kEnvironment, "is not a file");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size == 0) return fault(ErrorCode::kCorrupt, "is empty");
  DBSA_ASSIGN_OR_RETURN(std::shared_ptr<const Mapping> mapping, Mapping::map(fd.get(), size, path));
  // Not kCorrupt: what the disk cannot read now it may read the next time.
  if (!load_index(mapping->bytes()))
    return fault(ErrorCode::kEnvironment, "the disk cannot read its index");
  Result<PackView> view = PackView::parse(mapping->bytes());
  if (!view.ok()) return fault(view.error().code, view.error().message);
  std::shared_ptr<PackFile> pack(new PackFile(std::move(mapping), *view));
  pack->name_ = path.filename().string();
  pack->number_ = number;
  pack->inode_ = info.st_ino;
  pack->modified_ns_ = modified_ns(info);
  return pack;
}

PackFile::PackFile(std::shared_ptr<const Mapping> mapping, PackView view)
    : mapping_(std::move(mapping)),
      view_(view),
      states_(new std::atomic<PlaneState>[view.checksums().size()]()),
      hidden_(new std::atomic<bool>[view.rows().size()]()) {
  uint64_t planes = 0;
  for (const PackRow& row : view_.rows()) planes += row.layers * row.plane_stride;
  if (!view_.rows().empty()) overhead_ = (bytes().size() - planes) / view_.rows().size();
}

bool PackFile::same_file(const struct stat& info) const {
  return info.st_ino == inode_ && modified_ns(info) == modified_ns_ &&
         static_cast<uint64_t>(info.st_size) == bytes().size();
}

uint64_t PackFile::stored_bytes(const PackRow& row) const {
  return row.layers * row.plane_stride + overhead_;
}

StoredBlock PackFile::block(const std::shared_ptr<const PackFile>& pack, size_t row) {
  const PackRow& entry = pack->view().rows()[row];
  StoredBlock block;
  block.format = format_of(entry);
  block.planes = pack->bytes().data() + entry.plane_offset;
  block.stride = entry.plane_stride;
  block.checksums = pack->view().checksums().data() + entry.first_checksum;
  block.states = pack->states(entry);
  block.owner = pack;
  return block;
}

}  // namespace dbsa::kv_pack
