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
  if (data == MAP_FAILED) {
    const char* const remedy =
        errno == ENOMEM ? "; allow more address space (ulimit -v), or make new packs smaller with "
                          "kv_store.pack_bytes"
                        : "";
    return Error{ErrorCode::kEnvironment,
                 name.string() + ": cannot map " + std::to_string(length) +
                     " bytes: " + errno_text(errno) + remedy,
                 ""};
  }
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

int load_pages(std::span<const uint8_t> bytes) {
#ifdef MADV_POPULATE_READ
  while (advise(bytes, MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    return errno == EINVAL ? 0 : errno;  // a kernel before 5.14: the pages come by themselves
  }
#else
  static_cast<void>(bytes);
#endif
  return 0;
}

void fetch_pages(std::span<const uint8_t> bytes) {
  static_cast<void>(advise(bytes, MADV_WILLNEED));
}

namespace {

// Brings header and index into memory; errno or 0.
int load_index(std::span<const uint8_t> file) {
  if (file.size() < kHeaderBytes) return load_pages(file);
  if (const int code = load_pages(file.first(kHeaderBytes)); code != 0) return code;
  const auto& header = *reinterpret_cast<const PackHeader*>(file.data());
  const auto load = [&](uint64_t offset, uint64_t count, uint64_t size) {
    if (offset > file.size() || count > (file.size() - offset) / size) return 0;  // parse tells
    return load_pages(file.subspan(offset, count * size));
  };
  const int code = load(header.rows_offset, header.block_count, sizeof(PackRow));
  return code != 0 ? code : load(header.checksums_offset, header.plane_count, sizeof(uint64_t));
}

std::string hex(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) text[static_cast<size_t>(i)] = kDigits[value & 15];
  return text;
}

}  // namespace

Result<std::shared_ptr<PackFile>> PackFile::open(const fs::path& path, uint64_t number) {
  const auto fault = [&](ErrorCode code, const std::string& what) {
    return Error{code, path.string() + ": " + what, ""};
  };
  // Does not wait for a writer where the name is a FIFO's.
  const UniqueFd fd(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
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
  if (const int code = load_index(mapping->bytes()); code != 0)
    return fault(ErrorCode::kEnvironment, "its index cannot be read now: " + errno_text(code));
  Result<PackView> view = PackView::parse(mapping->bytes());
  if (!view.ok()) return fault(view.error().code, view.error().message);
  std::shared_ptr<PackFile> pack(new PackFile(std::move(mapping), *view));
  pack->path_ = path;
  pack->name_ = path.filename().string();
  pack->number_ = number;
  pack->inode_ = info.st_ino;
  pack->modified_ns_ = modified_ns(info);
  return pack;
}

PackFile::PackFile(std::shared_ptr<const Mapping> mapping, PackView view)
    : mapping_(std::move(mapping)),
      view_(view),
      rows_(view.rows().begin(), view.rows().end()),
      checksums_(view.checksums().begin(), view.checksums().end()),
      states_(new std::atomic<PlaneState>[checksums_.size()]()),
      hidden_(new std::atomic<bool>[rows_.size()]()) {
  uint64_t planes = 0;
  for (const PackRow& row : rows_) planes += row.layers * row.plane_stride;
  if (!rows_.empty()) overhead_ = (bytes().size() - planes) / rows_.size();
}

bool PackFile::same_file(const struct stat& info) const {
  return info.st_ino == inode_ && modified_ns(info) == modified_ns_ &&
         static_cast<uint64_t>(info.st_size) == bytes().size();
}

bool PackFile::cut_short() const {
  struct stat info = {};
  return stat(path_.c_str(), &info) == 0 && info.st_ino == inode_ &&
         static_cast<uint64_t>(info.st_size) < bytes().size();
}

uint64_t PackFile::stored_bytes(const PackRow& row) const {
  return row.layers * row.plane_stride + overhead_;
}

Status StoredBlock::check_plane(uint32_t layer) const {
  const auto fault = [&](ErrorCode code, const std::string& what) {
    return Error{code, "plane " + std::to_string(layer) + " " + what, ""};
  };
  const int code = load_pages(plane(layer));
  if (code != 0 && pack != nullptr && pack->cut_short())
    return fault(ErrorCode::kCorrupt, "is lost: the file was cut short while it was in use");
  if (code != 0)
    return fault(ErrorCode::kEnvironment,
                 "cannot be read now: " + errno_text(code) +
                     "; try again, and if it stays so check the disk, then remove the file and run "
                     "`dbsa-pipe encode`");
  const uint64_t expected = checksums[layer];
  const uint64_t found = checksum(plane(layer));
  if (found == expected) return {};
  return fault(ErrorCode::kCorrupt,
               "does not match its checksum: expected " + hex(expected) + ", found " + hex(found));
}

Status StoredBlock::check_planes() const {
  for (uint32_t layer = 0; layer < format.layers; ++layer) DBSA_RETURN_IF_ERROR(check_plane(layer));
  return {};
}

StoredBlock PackFile::block(const std::shared_ptr<const PackFile>& pack, size_t row) {
  const PackRow& entry = pack->rows()[row];
  StoredBlock block;
  block.format = format_of(entry);
  block.pack = pack.get();
  block.planes = pack->bytes().data() + entry.plane_offset;
  block.stride = entry.plane_stride;
  block.checksums = pack->checksums().data() + entry.first_checksum;
  block.states = pack->states(entry);
  block.owner = pack;
  return block;
}

}  // namespace dbsa::kv_pack
