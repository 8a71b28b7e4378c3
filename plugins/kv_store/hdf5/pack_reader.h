// PackView: a pack read in place from bytes, without the HDF5 library. Trusts nothing: after parse,
// every row's planes and checksums lie inside the bytes, and no two planes overlap.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <utility>
#include <vector>

#include "pack_format.h"

namespace dbsa::kv_pack {

// XXH3, 64 bits, with the widest instructions of this machine.
uint64_t checksum(std::span<const uint8_t> bytes);
// The same over two ranges, as if they were one.
uint64_t checksum(std::span<const uint8_t> first, std::span<const uint8_t> second);
// The checksum of bytes [from, end) without `holes` (ascending, disjoint, [begin, end) each).
uint64_t checksum_without(std::span<const uint8_t> bytes, uint64_t from,
                          std::span<const std::pair<uint64_t, uint64_t>> holes);

class PackView {
 public:
  // Checks the header's and the index's checksum and every offset; reads no plane. `file` is the
  // whole file, 8-byte aligned, and outlives the view. kCorrupt when it is no sound pack;
  // kUnsupported when a later version wrote it. Cost: the index.
  static Result<PackView> parse(std::span<const uint8_t> file);

  const PackHeader& header() const { return *reinterpret_cast<const PackHeader*>(file_.data()); }
  std::span<const PackRow> rows() const { return rows_; }
  std::span<const uint64_t> checksums() const { return checksums_; }  // of all planes
  std::span<const uint8_t> plane(const PackRow& row, uint32_t layer) const {
    return file_.subspan(row.plane_offset + layer * row.plane_stride, row.plane_bytes);
  }

  // Whether the bytes outside header and planes are as written. Reads them all.
  bool rest_matches() const;

 private:
  explicit PackView(std::span<const uint8_t> file) : file_(file) {}
  Status check_header() const;
  Status check_index();
  Status check_row(size_t index) const;
  Status check_overlaps() const;

  std::span<const uint8_t> file_;
  std::span<const PackRow> rows_;
  std::span<const uint64_t> checksums_;
};

// The planes of `rows` as [begin, end) in the file, ascending.
std::vector<std::pair<uint64_t, uint64_t>> plane_ranges(std::span<const PackRow> rows);

}  // namespace dbsa::kv_pack
