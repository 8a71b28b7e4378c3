// The bytes of a pool's file. All numbers are little-endian:
//
//   8 bytes    "DBSAKEYS"
//   u64        number of keys
//   u64        bytes of the document
//   [keys][16]
//   document   the host's, not interpreted
//   u64        XXH3, 64 bits, of all before it
//
// Files of the interface 0.1 hold only a document, which begins with "DBSAPOOL": its keys are not
// known.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <span>

namespace dbsa::kv_pack {

// All that a file says.
struct PoolContent {
  std::vector<uint8_t> document;
  std::vector<KvKey> keys;
  bool keys_known = true;
};

std::vector<uint8_t> write_pool(std::span<const uint8_t> document, std::span<const KvKey> keys);

// kCorrupt for bytes that write_pool did not write; the message is to follow the file's name.
Result<PoolContent> read_pool(std::span<const uint8_t> bytes);

}  // namespace dbsa::kv_pack
