// Feeds any bytes to the reader of pool files. Byte 0 of the input: bit 0 set seals the rest with a
// right checksum, as whoever forges a file can.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "plugins/kv_store/hdf5/pack_reader.h"
#include "plugins/kv_store/hdf5/pool_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> bytes(data + 1, data + size);
  if ((data[0] & 1) != 0) {
    const uint64_t sum = dbsa::kv_pack::checksum(bytes);
    const size_t at = bytes.size();
    bytes.resize(at + sizeof sum);
    std::memcpy(bytes.data() + at, &sum, sizeof sum);
  }
  const auto pool = dbsa::kv_pack::read_pool(bytes);
  // What is taken is what would be written.
  if (pool.ok() && pool->keys_known &&
      dbsa::kv_pack::write_pool(pool->document, pool->keys) != bytes)
    std::abort();
  return 0;
}
