// Feeds any bytes to the pack reader. Byte 0 of the input says how the rest is taken:
//   bit 0  0: patches (offset, value) on a small sound pack; 1: a whole file
//   bit 1  1: header and index get right checksums, so that what lies behind them is reached -
//             whoever forges a pack can compute them, too
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "small_pack.h"

namespace {

using namespace dbsa::kv_pack;

// Reads all that a store would.
uint64_t use(std::span<const uint8_t> file) {
  const auto view = PackView::parse(file);
  if (!view.ok()) return view.error().message.size();
  uint64_t sum = view->rest_matches();
  for (const PackRow& row : view->rows())
    for (uint32_t layer = 0; layer < row.layers; ++layer)
      sum += checksum(view->plane(row, layer)) == view->checksums()[row.first_checksum + layer];
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = *data++;
  --size;
  std::vector<uint8_t> file;
  if ((how & 1) != 0) {
    file.assign(data, data + size);
  } else {
    file = dbsa::store_test::small_pack();
    for (; size >= 3; data += 3, size -= 3)
      file[(data[0] | size_t{data[1]} << 8) % file.size()] = data[2];
  }
  if ((how & 2) != 0 && file.size() >= kHeaderBytes) dbsa::store_test::seal(file);
  // Exactly as long as the file, so that a byte too far is seen; aligned by malloc.
  auto* memory = static_cast<uint8_t*>(std::malloc(file.size() + file.empty()));
  if (memory == nullptr) throw std::bad_alloc();
  std::copy(file.begin(), file.end(), memory);
  volatile uint64_t sink = use({memory, file.size()});
  static_cast<void>(sink);
  std::free(memory);
  return 0;
}
