// Feeds any bytes to the pack reader, as a whole file or as header fields and what follows the
// header. Half of the inputs get right checksums first, so that what
// lies behind them is reached: an attacker could compute them, too.
#include <cstdlib>
#include <cstring>
#include <new>

#include "plugins/kv_store/hdf5/pack_reader.h"

namespace {

using namespace dbsa::kv_pack;

// Writes what parse compares first: magic, version, length and checksums.
void repair(std::span<uint8_t> file) {
  if (file.size() < kHeaderBytes) return;
  auto& header = *reinterpret_cast<PackHeader*>(file.data());
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.header_bytes = kHeaderBytes;
  header.file_bytes = file.size();
  const auto inside = [&](uint64_t offset, uint64_t count, uint64_t size) {
    return offset <= file.size() && count <= (file.size() - offset) / size;
  };
  if (inside(header.rows_offset, header.block_count, sizeof(PackRow)) &&
      inside(header.checksums_offset, header.plane_count, sizeof(uint64_t)))
    header.index_xxh3 =
        checksum(file.subspan(header.rows_offset, header.block_count * sizeof(PackRow)),
                 file.subspan(header.checksums_offset, header.plane_count * sizeof(uint64_t)));
  header.header_xxh3 = checksum(file.first(offsetof(PackHeader, header_xxh3)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool whole = (data[0] & 1) != 0;  // a whole file, or fields and contents without the gap
  const bool right = (data[0] & 2) != 0;
  ++data;
  --size;
  constexpr size_t kFields = 16 + 4 + 4 + 8 * 8;
  const size_t fields = whole || size < kFields ? size : kFields;
  const size_t bytes = whole ? size : kHeaderBytes + size - fields;
  // Exactly as long as the file, so that a byte too far is seen; 16-byte aligned by malloc.
  auto* memory = static_cast<uint8_t*>(std::malloc(bytes + (bytes == 0)));
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  std::memcpy(memory, data, fields);
  if (!whole) std::memcpy(memory + kHeaderBytes, data + fields, size - fields);
  if (right) repair({memory, bytes});
  uint64_t sum = 0;
  if (const auto view = PackView::parse({memory, bytes}); view.ok()) {
    sum += view->rest_matches();
    for (const PackRow& row : view->rows())
      for (uint32_t layer = 0; layer < row.layers; ++layer)
        sum += checksum(view->plane(row, layer)) == view->checksums()[row.first_checksum + layer];
  }
  volatile uint64_t sink = sum;
  static_cast<void>(sink);
  std::free(memory);
  return 0;
}
