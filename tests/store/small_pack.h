// A pack made by hand, without HDF5: header, index and planes as schemas/kv_pack.md says.
#pragma once

#include <cstring>
#include <vector>

#include "plugins/kv_store/hdf5/pack_reader.h"

namespace dbsa::store_test {

// Puts the length and the right checksums of header and index where they belong, as far as the
// index lies in the file. 8-byte aligned, at least as long as a header.
inline void seal(std::span<uint8_t> file) {
  auto& header = *reinterpret_cast<kv_pack::PackHeader*>(file.data());
  std::memcpy(header.magic, kv_pack::kMagic, sizeof header.magic);
  header.version = kv_pack::kVersion;
  header.header_bytes = kv_pack::kHeaderBytes;
  header.file_bytes = file.size();
  const auto inside = [&](uint64_t offset, uint64_t count, uint64_t size) {
    return offset <= file.size() && count <= (file.size() - offset) / size;
  };
  if (inside(header.rows_offset, header.block_count, sizeof(kv_pack::PackRow)) &&
      inside(header.checksums_offset, header.plane_count, sizeof(uint64_t)))
    header.index_xxh3 = kv_pack::checksum(
        file.subspan(header.rows_offset, header.block_count * sizeof(kv_pack::PackRow)),
        file.subspan(header.checksums_offset, header.plane_count * sizeof(uint64_t)));
  header.header_xxh3 = kv_pack::checksum(file.first(offsetof(kv_pack::PackHeader, header_xxh3)));
}

inline constexpr uint64_t kSmallRows = 4096;       // two rows of 96 bytes
inline constexpr uint64_t kSmallChecksums = 4288;  // of three planes
inline constexpr uint64_t kSmallPlanes = 4352;     // 2 x 100 bytes, 128 apart; then 64 bytes
inline constexpr uint64_t kSmallBytes = kSmallPlanes + 2 * 128 + 64;

// Block 0: key 11.., two layers of 100 bytes; block 1: key 22.., one layer of 64 bytes.
inline std::vector<uint8_t> small_pack() {
  std::vector<uint8_t> file(kSmallBytes);
  for (uint64_t i = kSmallPlanes; i < kSmallBytes; ++i) file[i] = static_cast<uint8_t>(i * 7);
  auto& header = *reinterpret_cast<kv_pack::PackHeader*>(file.data());
  auto* rows = reinterpret_cast<kv_pack::PackRow*>(file.data() + kSmallRows);
  auto* checksums = reinterpret_cast<uint64_t*>(file.data() + kSmallChecksums);
  std::memset(rows[0].key, 0x11, sizeof rows[0].key);
  std::memset(rows[1].key, 0x22, sizeof rows[1].key);
  for (int i = 0; i < 2; ++i) {
    rows[i].tokens = 2;
    rows[i].kv_heads = 1;
    rows[i].head_dim = 8;
  }
  rows[0].layers = 2;
  rows[0].plane_bytes = 100;
  rows[0].plane_offset = kSmallPlanes;
  rows[0].plane_stride = 128;
  rows[1].layers = 1;
  rows[1].plane_bytes = 64;
  rows[1].plane_offset = kSmallPlanes + 256;
  rows[1].plane_stride = 64;
  rows[1].first_checksum = 2;
  header.block_count = 2;
  header.rows_offset = kSmallRows;
  header.plane_count = 3;
  header.checksums_offset = kSmallChecksums;
  checksums[0] = kv_pack::checksum({file.data() + kSmallPlanes, 100});
  checksums[1] = kv_pack::checksum({file.data() + kSmallPlanes + 128, 100});
  checksums[2] = kv_pack::checksum({file.data() + kSmallPlanes + 256, 64});
  const auto holes = kv_pack::plane_ranges({rows, 2});
  header.rest_xxh3 = kv_pack::checksum_without(file, kv_pack::kHeaderBytes, holes);
  seal(file);
  return file;
}

}  // namespace dbsa::store_test
