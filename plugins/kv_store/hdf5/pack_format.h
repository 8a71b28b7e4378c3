// The bytes of a pack that readers rely on: the header in the HDF5 user block and the rows of the
// index. Described for people in schemas/kv_pack.md; version 1. Little-endian, as mapped.
//
// Every byte of a pack is covered by exactly one kind of checksum (XXH3, 64 bits):
//   header    bytes [0, 4088)                        PackHeader::header_xxh3
//   index     rows, then plane checksums             PackHeader::index_xxh3
//   planes    each plane of each block               the plane checksums of the index
//   the rest  all of [4096, end) outside the planes  PackHeader::rest_xxh3  (index included)
#pragma once

#include <dbsa/kv_block.h>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace dbsa::kv_pack {

static_assert(std::endian::native == std::endian::little, "packs are used in place");

inline constexpr char kMagic[16] = {'D', 'B', 'S', 'A', ' ',  'K',  'V',    ' ',
                                    'p', 'a', 'c', 'k', '\r', '\n', '\x1a', '\n'};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint64_t kHeaderBytes = 4096;
inline constexpr uint64_t kPlaneAlignment = DBSA_KV_PLANE_ALIGNMENT;
inline constexpr uint32_t kMaxLayers = 4096;  // as the framework

struct PackHeader {
  char magic[16];
  uint32_t version;
  uint32_t header_bytes;      // kHeaderBytes
  uint64_t file_bytes;        // length of the whole file
  int64_t created_unix_s;     // when the pack was published
  uint64_t block_count;       // rows of the index
  uint64_t rows_offset;       // of PackRow[block_count] in the file
  uint64_t plane_count;       // over all blocks
  uint64_t checksums_offset;  // of uint64_t[plane_count] in the file
  uint64_t index_xxh3;        // over the rows and then the plane checksums
  uint64_t rest_xxh3;         // over [kHeaderBytes, file_bytes) without the planes
  uint8_t reserved[4000];     // 0
  uint64_t header_xxh3;       // over all before; at this place in every version
};
static_assert(sizeof(PackHeader) == kHeaderBytes);
static_assert(offsetof(PackHeader, header_xxh3) == 4088);

// One block. Plane l lies at plane_offset + l * plane_stride and is plane_bytes long.
struct PackRow {
  uint8_t key[DBSA_KV_KEY_BYTES];
  uint32_t layout;
  uint32_t dtype;
  uint32_t panel;
  uint32_t layers;
  uint32_t kv_heads;
  uint32_t head_dim;
  uint64_t tokens;
  uint64_t plane_bytes;
  uint64_t scale_offset;
  uint64_t plane_offset;    // in the file; a multiple of kPlaneAlignment
  uint64_t plane_stride;    // a multiple of kPlaneAlignment, >= plane_bytes
  uint64_t first_checksum;  // of plane 0, in the plane checksums
  int64_t created_unix_s;   // when the block was first published
};
static_assert(sizeof(PackRow) == 96);

inline dbsa_kv_format format_of(const PackRow& row) {
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  format.layout = row.layout;
  format.dtype = row.dtype;
  format.panel = row.panel;
  format.layers = row.layers;
  format.kv_heads = row.kv_heads;
  format.head_dim = row.head_dim;
  format.tokens = row.tokens;
  format.plane_bytes = row.plane_bytes;
  format.scale_offset = row.scale_offset;
  return format;
}

}  // namespace dbsa::kv_pack
