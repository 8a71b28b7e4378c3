// Mapping: part of a file in memory, read-only. PackFile: a published pack, mapped and checked.
// StoredBlock: where one block's planes and checksums lie, in either a published or a growing pack.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "file_system.h"
#include "pack_reader.h"

namespace dbsa::kv_pack {

// Files of the store are never shortened while mapped: packs are immutable and temporary ones only
// grow until they are published.
class Mapping {
 public:
  // Maps [0, length) of an open file. kEnvironment.
  static Result<std::shared_ptr<const Mapping>> map(int fd, uint64_t length,
                                                    const std::filesystem::path& name);
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  std::span<const uint8_t> bytes() const { return {data_, length_}; }

 private:
  Mapping(const uint8_t* data, uint64_t length) : data_(data), length_(length) {}
  const uint8_t* data_;
  uint64_t length_;
};

// Brings mapped bytes into memory in one go; errno or 0. EFAULT when the disk cannot deliver them
// or the file has become shorter, which would otherwise be a SIGBUS.
int load_pages(std::span<const uint8_t> bytes);

// Lets the system begin to bring mapped bytes into memory, and does not wait for it.
void fetch_pages(std::span<const uint8_t> bytes);

// When a file or folder was last modified.
inline int64_t modified_ns(const struct stat& info) {
  return info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec;
}

// What is known in this process of a plane.
enum class PlaneState : uint8_t { kUnknown, kSound, kWrong };

class PackFile;

struct StoredBlock {
  dbsa_kv_format format{};
  const PackFile* pack = nullptr;   // nullptr: a growing pack
  const uint8_t* planes = nullptr;  // plane 0
  uint64_t stride = 0;              // bytes from plane to plane
  const uint64_t* checksums = nullptr;
  std::atomic<PlaneState>* states = nullptr;  // [format.layers]
  std::shared_ptr<const void> owner;          // keeps all of the above

  std::span<const uint8_t> plane(uint32_t layer) const {
    return {planes + layer * stride, format.plane_bytes};
  }
  // Reads a plane and compares it with its checksum. kCorrupt when it was read whole and differs,
  // or when the file has become too short to hold it; kEnvironment when it cannot be read now.
  Status check_plane(uint32_t layer) const;
  Status check_planes() const;
};

class PackFile {
 public:
  // kNotFound when the file is gone, kCorrupt, kUnsupported, kEnvironment.
  static Result<std::shared_ptr<PackFile>> open(const std::filesystem::path& path, uint64_t number);

  uint64_t number() const { return number_; }
  // Whether `info` is of this very file, unchanged since it was opened.
  bool same_file(const struct stat& info) const;
  const std::string& name() const { return name_; }
  // Whether the file has been cut since it was opened.
  bool cut_short() const;
  // The index, copied when the pack was opened: it stays readable when the file is cut short.
  std::span<const PackRow> rows() const { return rows_; }
  std::span<const uint64_t> checksums() const { return checksums_; }
  // See PackView::rest_matches. The file's pages must be loaded.
  bool rest_matches() const { return view_.rest_matches(); }
  std::span<const uint8_t> bytes() const { return mapping_->bytes(); }
  std::atomic<PlaneState>* states(const PackRow& row) const {
    return states_.get() + row.first_checksum;
  }
  // Whether a row was found to be wrong and is not to be used any more by this process.
  bool hidden(size_t row) const { return hidden_[row].load(std::memory_order_relaxed); }
  void hide(size_t row) const { hidden_[row].store(true, std::memory_order_relaxed); }
  // A row's share of the file: its planes and an even part of all else.
  uint64_t stored_bytes(const PackRow& row) const;

  static StoredBlock block(const std::shared_ptr<const PackFile>& pack, size_t row);

 private:
  PackFile(std::shared_ptr<const Mapping> mapping, PackView view);

  std::shared_ptr<const Mapping> mapping_;
  PackView view_;
  std::vector<PackRow> rows_;
  std::vector<uint64_t> checksums_;
  std::unique_ptr<std::atomic<PlaneState>[]> states_;  // of every plane
  std::unique_ptr<std::atomic<bool>[]> hidden_;        // of every row
  std::filesystem::path path_;
  std::string name_;
  uint64_t number_ = 0;
  uint64_t inode_ = 0;
  int64_t modified_ns_ = 0;
  uint64_t overhead_ = 0;  // bytes of the file that are no plane, per block
};

}  // namespace dbsa::kv_pack
