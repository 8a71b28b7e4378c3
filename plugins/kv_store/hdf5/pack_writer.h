// PackWriter: one pack that grows under a temporary name and is published by a rename.
//
// HDF5 lays out the file and writes its metadata; planes and index go straight to the offsets HDF5
// gave them, so that a write that fails is seen where it is made: HDF5 keeps small data back and
// tells when an object is closed. Every close is asked how it went, and what a reader needs is read
// back from the file before it gets its name. Disk space is reserved before anything is written, so
// that a full disk shows here and not half-way through HDF5. Destroying a writer that was not
// published removes its file.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <memory>
#include <vector>

#include "pack_file.h"

namespace dbsa::kv_pack {

// Owns an HDF5 identifier.
class Hdf5Id {
 public:
  using Close = int (*)(int64_t);
  Hdf5Id() = default;
  Hdf5Id(int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Id() { reset(); }
  // Closes it; whether that worked.
  bool reset() {
    const int64_t id = std::exchange(id_, -1);
    return id < 0 || close_(id) >= 0;
  }
  int64_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

class PackWriter {
 public:
  // Starts a pack in `packs`, a folder of the store at `root`. kEnvironment.
  static Result<std::unique_ptr<PackWriter>> create(const std::filesystem::path& root);
  ~PackWriter();

  // Adds a block; its planes are copied. A failure leaves the pack unusable: destroy it.
  // created_unix_s: 0 for the time of publication.
  Status add(const KvKey& key, const dbsa_kv_format& format, std::span<const void* const> planes,
             int64_t created_unix_s = 0);
  // Whether publish reads the planes back too, not only header and index: for a pack whose
  // originals go.
  enum class ReadBack { kIndex, kAll };
  // Durably publishes the pack under the next free number. The writer is done after it, no matter
  // comes back. An error means that nothing was published, or that it may not last.
  Status publish(ReadBack read_back = ReadBack::kIndex);

  uint64_t bytes() const { return bytes_; }  // what the file takes so far
  size_t block_count() const { return rows_.size(); }
  // The block added last, readable from the growing file at once and for as long as it is held.
  // `reserve_bytes`: how large the pack may grow, to map it once.
  Result<StoredBlock> last_block(uint64_t reserve_bytes);

 private:
  explicit PackWriter(std::filesystem::path root) : root_(std::move(root)) {}
  Status open_temporary();
  Status create_file();
  Status reserve_space(uint64_t more_bytes, const std::string& doing);
  Result<uint64_t> create_dataset(const KvKey& key, const PackRow& row);
  Status write_index(PackHeader& header);
  Result<uint64_t> write_array(int64_t group, const char* name, const Hdf5Id& type, uint64_t count,
                               std::span<const uint8_t> bytes);
  Status close_file();
  Status seal(PackHeader header);
  Status check_written(ReadBack read_back) const;
  Status rename_to_next();
  Error hdf5_error(const std::string& doing) const;

  const std::filesystem::path root_;
  std::filesystem::path temporary_;  // empty once renamed
  UniqueFd fd_;                      // our own handle on the file, holding its flock
  Hdf5Id file_;
  Hdf5Id blocks_;       // group /blocks
  Hdf5Id format_type_;  // committed type /block_format
  std::vector<PackRow> rows_;
  std::vector<uint64_t> checksums_;
  std::shared_ptr<const Mapping> mapping_;
  uint64_t reserved_ = 0;  // bytes from the start of the file
  uint64_t bytes_ = 0;
};

}  // namespace dbsa::kv_pack
