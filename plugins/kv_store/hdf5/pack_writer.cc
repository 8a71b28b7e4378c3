#include "pack_writer.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <random>

#include "pack_name.h"
#include "store_lock.h"
#include "unlocked_driver.h"

#ifndef H5_HAVE_THREADSAFE
#error "dbsa.kv_store.hdf5 needs an HDF5 library built with --enable-threadsafe, as Debian's is"
#endif

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

namespace {

// Upper bounds of what HDF5 itself writes: for a file, and for a dataset with its link and format.
constexpr uint64_t kFileSlack = 64 * 1024;
constexpr uint64_t kBlockSlack = 2048;
constexpr hsize_t kMetadataBlockBytes = 16 * 1024;

// Keeps HDF5 from printing its error stack while in scope.
class QuietHdf5 {
 public:
  QuietHdf5() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~QuietHdf5() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  QuietHdf5(const QuietHdf5&) = delete;
  QuietHdf5& operator=(const QuietHdf5&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

Hdf5Id own_type(hid_t id) {
  return {id, [](int64_t i) { return int{H5Tclose(i)}; }};
}
Hdf5Id own_space(hid_t id) {
  return {id, [](int64_t i) { return int{H5Sclose(i)}; }};
}
Hdf5Id own_list(hid_t id) {
  return {id, [](int64_t i) { return int{H5Pclose(i)}; }};
}
Hdf5Id own_dataset(hid_t id) {
  return {id, [](int64_t i) { return int{H5Dclose(i)}; }};
}
Hdf5Id own_attribute(hid_t id) {
  return {id, [](int64_t i) { return int{H5Aclose(i)}; }};
}
Hdf5Id own_group(hid_t id) {
  return {id, [](int64_t i) { return int{H5Gclose(i)}; }};
}
Hdf5Id own_file(hid_t id) {
  return {id, [](int64_t i) { return int{H5Fclose(i)}; }};
}

struct Field {
  const char* name;
  size_t offset;
  hid_t type;
};

// PackRow as an HDF5 compound: all of it for the index, only the format for a block's attribute.
Hdf5Id row_type(bool whole) {
  Hdf5Id type = own_type(H5Tcreate(H5T_COMPOUND, sizeof(PackRow)));
  const Field fields[] = {
      {"layout", offsetof(PackRow, layout), H5T_STD_U32LE},
      {"dtype", offsetof(PackRow, dtype), H5T_STD_U32LE},
      {"panel", offsetof(PackRow, panel), H5T_STD_U32LE},
      {"layers", offsetof(PackRow, layers), H5T_STD_U32LE},
      {"kv_heads", offsetof(PackRow, kv_heads), H5T_STD_U32LE},
      {"head_dim", offsetof(PackRow, head_dim), H5T_STD_U32LE},
      {"tokens", offsetof(PackRow, tokens), H5T_STD_U64LE},
      {"plane_bytes", offsetof(PackRow, plane_bytes), H5T_STD_U64LE},
      {"scale_offset", offsetof(PackRow, scale_offset), H5T_STD_U64LE},
  };
  const Field places[] = {
      {"plane_offset", offsetof(PackRow, plane_offset), H5T_STD_U64LE},
      {"plane_stride", offsetof(PackRow, plane_stride), H5T_STD_U64LE},
      {"first_checksum", offsetof(PackRow, first_checksum), H5T_STD_U64LE},
      {"created_unix_s", offsetof(PackRow, created_unix_s), H5T_STD_I64LE},
  };
  if (whole) {
    const hsize_t length = DBSA_KV_KEY_BYTES;
    const Hdf5Id key = own_type(H5Tarray_create2(H5T_STD_U8LE, 1, &length));
    H5Tinsert(type.get(), "key", offsetof(PackRow, key), key.get());
  }
  for (const Field& field : fields) H5Tinsert(type.get(), field.name, field.offset, field.type);
  if (whole)
    for (const Field& field : places) H5Tinsert(type.get(), field.name, field.offset, field.type);
  return type;
}

// Contiguous, allocated when created so that its offset is known, never filled.
Hdf5Id contiguous_layout() {
  Hdf5Id list = own_list(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_layout(list.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(list.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(list.get(), false);
  return list;
}

std::string random_name() {
  std::random_device source;
  const uint64_t value = (uint64_t{source()} << 32) | source();
  char digits[17] = {};
  std::to_chars(digits, digits + 16, value, 16);
  return std::string(kTemporaryPrefix) + std::to_string(getpid()) + "-" + digits + ".h5";
}

// Takes the first message of HDF5's error stack, its deepest cause.
std::string hdf5_cause() {
  std::string cause;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& text = *static_cast<std::string*>(out);
        if (text.empty() && error->desc != nullptr) text = error->desc;
        return 0;
      },
      &cause);
  return cause.empty() ? "unknown cause" : cause;
}

}  // namespace

Error PackWriter::hdf5_error(const std::string& doing) const {
  return {ErrorCode::kEnvironment, root_.string() + ": " + doing + ": HDF5 says: " + hdf5_cause(),
          ""};
}

Result<std::unique_ptr<PackWriter>> PackWriter::create(const fs::path& root) {
  // Packs are closed here. What the system refused to write HDF5 would try again when the program
  // ends, and crash. Only the first call counts, before anything else of HDF5.
  H5dont_atexit();
  const QuietHdf5 quiet;
  std::unique_ptr<PackWriter> writer(new PackWriter(root));
  DBSA_RETURN_IF_ERROR(make_folders(root, root / "packs"));
  DBSA_RETURN_IF_ERROR(writer->open_temporary());
  DBSA_RETURN_IF_ERROR(writer->create_file());
  return writer;
}

Status PackWriter::open_temporary() {
  for (;;) {
    const fs::path name = root_ / "packs" / random_name();
    UniqueFd fd(uninterrupted(
        [&] { return open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
    if (!fd.valid() && errno == EEXIST) continue;
    if (!fd.valid()) return write_error(root_, "making a new pack", errno);
    // Another process may take a file that is not locked yet for a leftover and remove it.
    if (const int code = lock_file(fd.get(), LOCK_EX | LOCK_NB); code != 0) {
      if (code == EWOULDBLOCK) continue;
      unlink(name.c_str());
      return write_error(root_, "locking a new pack", code);
    }
    struct stat mine = {}, named = {};
    if (fstat(fd.get(), &mine) != 0 || stat(name.c_str(), &named) != 0 ||
        mine.st_ino != named.st_ino)
      continue;
    temporary_ = name;
    fd_ = std::move(fd);
    return {};
  }
}

Status PackWriter::create_file() {
  DBSA_RETURN_IF_ERROR(reserve_space(kHeaderBytes, "making a new pack"));
  const Hdf5Id creation = own_list(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_userblock(creation.get(), kHeaderBytes);
  const Hdf5Id access = own_list(H5Pcreate(H5P_FILE_ACCESS));
  // Object headers with checksums and compact groups; readable from HDF5 1.8 on.
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_alignment(access.get(), 1, kPlaneAlignment);
  H5Pset_meta_block_size(access.get(), kMetadataBlockBytes);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  if (!set_unlocked_driver(access.get(), temporary_.string()))  // the lock on it is ours
    return hdf5_error("making a new pack");
  file_ = own_file(H5Fcreate(temporary_.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
  if (!file_.valid()) return hdf5_error("making a new pack");
  reserved_ = 0;  // making the file truncated it, reservation included
  DBSA_RETURN_IF_ERROR(reserve_space(0, "making a new pack"));
  blocks_ = own_group(H5Gcreate2(file_.get(), "blocks", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  Hdf5Id memory_type = row_type(false);
  format_type_ = own_type(H5Tcopy(memory_type.get()));
  H5Tpack(format_type_.get());
  if (!blocks_.valid() || H5Tcommit2(file_.get(), "block_format", format_type_.get(), H5P_DEFAULT,
                                     H5P_DEFAULT, H5P_DEFAULT) < 0)
    return hdf5_error("making a new pack");
  return {};
}

PackWriter::~PackWriter() {
  const QuietHdf5 quiet;
  if (!temporary_.empty()) unlink(temporary_.c_str());
  format_type_.reset();
  blocks_.reset();
  file_.reset();
}

Status PackWriter::reserve_space(uint64_t more_bytes, const std::string& doing) {
  hsize_t used = kHeaderBytes;
  if (file_.valid()) H5Fget_filesize(file_.get(), &used);
  const uint64_t end = used + more_bytes + kFileSlack + kBlockSlack * (rows_.size() + 1) +
                       sizeof(PackRow) * rows_.size() + sizeof(uint64_t) * checksums_.size();
  if (end > reserved_) {
    if (const int code = reserve(fd_.get(), reserved_, end - reserved_); code != 0)
      return write_error(root_, doing, code);
    reserved_ = end;
  }
  return {};
}

Status PackWriter::add(const KvKey& key, const dbsa_kv_format& format,
                       std::span<const void* const> planes, int64_t created_unix_s) {
  const QuietHdf5 quiet;
  PackRow row = {};
  std::copy(key.bytes.begin(), key.bytes.end(), row.key);
  row.layout = format.layout;
  row.dtype = format.dtype;
  row.panel = format.panel;
  row.layers = format.layers;
  row.kv_heads = format.kv_heads;
  row.head_dim = format.head_dim;
  row.tokens = format.tokens;
  row.plane_bytes = format.plane_bytes;
  row.scale_offset = format.scale_offset;
  row.plane_stride = (format.plane_bytes + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
  row.first_checksum = checksums_.size();
  row.created_unix_s = created_unix_s;
  const std::string doing = "storing block " + key.hex() + " (" +
                            std::to_string(row.layers * row.plane_bytes) + " bytes)";
  DBSA_RETURN_IF_ERROR(reserve_space(row.layers * row.plane_stride, doing));
  DBSA_ASSIGN_OR_RETURN(row.plane_offset, create_dataset(key, row));
  for (uint32_t layer = 0; layer < row.layers; ++layer) {
    const std::span<const uint8_t> plane(static_cast<const uint8_t*>(planes[layer]),
                                         format.plane_bytes);
    checksums_.push_back(checksum(plane));
    if (const int code = write_at(fd_.get(), plane, row.plane_offset + layer * row.plane_stride);
        code != 0)
      return write_error(root_, doing, code);
  }
  rows_.push_back(row);
  bytes_ = row.plane_offset + row.layers * row.plane_stride;
  return {};
}

Result<uint64_t> PackWriter::create_dataset(const KvKey& key, const PackRow& row) {
  const std::string doing = "storing block " + key.hex();
  const hsize_t shape[2] = {row.layers, row.plane_stride};
  const Hdf5Id space = own_space(H5Screate_simple(2, shape, nullptr));
  const Hdf5Id layout = contiguous_layout();
  Hdf5Id dataset = own_dataset(H5Dcreate2(blocks_.get(), key.hex().c_str(), H5T_STD_U8LE,
                                          space.get(), H5P_DEFAULT, layout.get(), H5P_DEFAULT));
  if (!dataset.valid()) return hdf5_error(doing);
  const Hdf5Id scalar = own_space(H5Screate(H5S_SCALAR));
  Hdf5Id attribute = own_attribute(H5Acreate2(dataset.get(), "format", format_type_.get(),
                                              scalar.get(), H5P_DEFAULT, H5P_DEFAULT));
  const Hdf5Id memory_type = row_type(false);
  if (!attribute.valid() || H5Awrite(attribute.get(), memory_type.get(), &row) < 0)
    return hdf5_error(doing);
  const haddr_t offset = H5Dget_offset(dataset.get());
  if (offset == HADDR_UNDEF || offset % kPlaneAlignment != 0)
    return Error{ErrorCode::kEnvironment,
                 root_.string() + ": " + doing + ": HDF5 gave the planes no aligned place", ""};
  if (!attribute.reset() || !dataset.reset()) return hdf5_error(doing);
  return uint64_t{offset};
}

Result<StoredBlock> PackWriter::last_block(uint64_t reserve_bytes) {
  if (mapping_ == nullptr || mapping_->bytes().size() < bytes_) {
    DBSA_ASSIGN_OR_RETURN(mapping_,
                          Mapping::map(fd_.get(), std::max(reserve_bytes, 2 * bytes_), temporary_));
  }
  struct Owner {
    std::shared_ptr<const Mapping> mapping;
    std::vector<uint64_t> checksums;
    std::unique_ptr<std::atomic<PlaneState>[]> states;
  };
  const PackRow& row = rows_.back();
  auto owner = std::make_shared<Owner>();
  owner->mapping = mapping_;
  owner->checksums.assign(checksums_.begin() + static_cast<ptrdiff_t>(row.first_checksum),
                          checksums_.end());
  owner->states.reset(new std::atomic<PlaneState>[row.layers]());
  StoredBlock block;
  block.format = format_of(row);
  block.planes = mapping_->bytes().data() + row.plane_offset;
  block.stride = row.plane_stride;
  block.checksums = owner->checksums.data();
  block.states = owner->states.get();
  block.owner = std::move(owner);
  return block;
}

Status PackWriter::publish(ReadBack read_back) {
  const QuietHdf5 quiet;
  PackHeader header = {};
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.version = kVersion;
  header.header_bytes = kHeaderBytes;
  header.created_unix_s = std::time(nullptr);
  for (PackRow& row : rows_)
    if (row.created_unix_s == 0) row.created_unix_s = header.created_unix_s;
  DBSA_RETURN_IF_ERROR(write_index(header));
  DBSA_RETURN_IF_ERROR(close_file());
  DBSA_RETURN_IF_ERROR(seal(header));
  DBSA_RETURN_IF_ERROR(check_written(read_back));
  return rename_to_next();
}

// Makes a dataset of `count` elements, writes its bytes and returns its offset in the file.
Result<uint64_t> PackWriter::write_array(int64_t group, const char* name, const Hdf5Id& type,
                                         uint64_t count, std::span<const uint8_t> bytes) {
  const std::string doing = "writing the index of a pack";
  const hsize_t shape = count;
  const Hdf5Id space = own_space(H5Screate_simple(1, &shape, nullptr));
  const Hdf5Id layout = contiguous_layout();
  Hdf5Id dataset = own_dataset(
      H5Dcreate2(group, name, type.get(), space.get(), H5P_DEFAULT, layout.get(), H5P_DEFAULT));
  if (!dataset.valid()) return hdf5_error(doing);
  const haddr_t offset = H5Dget_offset(dataset.get());
  if (offset == HADDR_UNDEF || H5Dget_storage_size(dataset.get()) != bytes.size())
    return Error{ErrorCode::kEnvironment, root_.string() + ": " + doing + ": HDF5 gave it no place",
                 ""};
  if (!dataset.reset()) return hdf5_error(doing);
  if (const int code = write_at(fd_.get(), bytes, offset); code != 0)
    return write_error(root_, doing, code);
  return uint64_t{offset};
}

namespace {

template <typename T>
std::span<const uint8_t> bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)};
}

bool equal(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Status PackWriter::write_index(PackHeader& header) {
  Hdf5Id group = own_group(H5Gcreate2(file_.get(), "index", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  if (!group.valid()) return hdf5_error("writing the index of a pack");
  header.block_count = rows_.size();
  header.plane_count = checksums_.size();
  DBSA_ASSIGN_OR_RETURN(header.rows_offset, write_array(group.get(), "blocks", row_type(true),
                                                        rows_.size(), bytes_of(rows_)));
  DBSA_ASSIGN_OR_RETURN(header.checksums_offset,
                        write_array(group.get(), "plane_xxh3", own_type(H5Tcopy(H5T_STD_U64LE)),
                                    checksums_.size(), bytes_of(checksums_)));
  if (!group.reset()) return hdf5_error("writing the index of a pack");
  return {};
}

Status PackWriter::close_file() {
  if (!format_type_.reset() || !blocks_.reset() || !file_.reset())
    return hdf5_error("closing a pack");
  struct stat info = {};
  if (fstat(fd_.get(), &info) != 0) return write_error(root_, "closing a pack", errno);
  // Gives back what was reserved and not used.
  if (const int code = truncate_file(fd_.get(), static_cast<uint64_t>(info.st_size)); code != 0)
    return write_error(root_, "closing a pack", code);
  bytes_ = static_cast<uint64_t>(info.st_size);
  return {};
}

Status PackWriter::seal(PackHeader header) {
  DBSA_ASSIGN_OR_RETURN(const std::shared_ptr<const Mapping> whole,
                        Mapping::map(fd_.get(), bytes_, temporary_));
  const auto planes = plane_ranges(rows_);
  for (uint64_t i = 0, from = kHeaderBytes; i <= planes.size(); ++i) {
    const uint64_t end = i < planes.size() ? planes[i].first : bytes_;
    const int code = from < end ? load_pages(whole->bytes().subspan(from, end - from)) : 0;
    if (code != 0) return write_error(root_, "reading a new pack back", code);
    if (i < planes.size()) from = planes[i].second;
  }
  header.file_bytes = bytes_;
  header.index_xxh3 = checksum(bytes_of(rows_), bytes_of(checksums_));
  header.rest_xxh3 = checksum_without(whole->bytes(), kHeaderBytes, planes);
  const auto* raw = reinterpret_cast<const uint8_t*>(&header);
  header.header_xxh3 = checksum({raw, offsetof(PackHeader, header_xxh3)});
  if (const int code = write_at(fd_.get(), {raw, sizeof header}, 0); code != 0)
    return write_error(root_, "writing a pack", code);
  if (const int code = sync_file(fd_.get()); code != 0)
    return write_error(root_, "writing a pack", code);
  return {};
}

// Opens the pack as a reader does and compares it with what was to be written.
Status PackWriter::check_written(ReadBack read_back) const {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::kEnvironment,
                 root_.string() + ": a new pack was written and " + what +
                     ", so it is not published; check the disk, then run the command again",
                 ""};
  };
  const auto pack = PackFile::open(temporary_, 0);
  if (!pack.ok()) return wrong("does not read back: " + pack.error().message);
  const auto index = [](const auto& values) {
    return std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes());
  };
  if (!equal(index((*pack)->rows()), bytes_of(rows_)) ||
      !equal(index((*pack)->checksums()), bytes_of(checksums_)))
    return wrong("its index reads back otherwise");
  if (read_back == ReadBack::kIndex) return {};
  for (size_t i = 0; i < rows_.size(); ++i)
    if (const Status sound = PackFile::block(*pack, i).check_planes(); !sound.ok())
      return wrong("block " + KvKey::from(rows_[i].key).hex() + ": " + sound.error().message);
  return {};
}

Status PackWriter::rename_to_next() {
  const fs::path packs = root_ / "packs";
  uint64_t number = 0;
  std::error_code failed;
  fs::directory_iterator entry(packs, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed))
    number = std::max(number, pack_number(entry->path().filename().string()).value_or(0));
  // Without all numbers, an older one might be taken.
  if (failed) return write_error(root_, "publishing a pack", failed.value());
  int code = EEXIST;
  while (code == EEXIST && number < kMaxPackNumber)
    code = rename_new(temporary_, packs / pack_name(++number));
  if (code == EEXIST)
    return Error{ErrorCode::kEnvironment,
                 root_.string() + ": publishing a pack: " + pack_name(number) +
                     " has the last number there is; move this file to another folder",
                 ""};
  if (code != 0) return write_error(root_, "publishing a pack", code);
  temporary_.clear();
  if (code = sync_folder(packs); code != 0) return write_error(root_, "publishing a pack", code);
  return {};
}

}  // namespace dbsa::kv_pack
