// Any bytes as a gzip file: what is taken is no larger than it may be, is packed and unpacked to
// the same bytes, and begins as its start says.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/gzip.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  constexpr uint64_t kMaxBytes = 1 << 20;
  constexpr size_t kStart = 100;
  const auto text = dbsa::unpack_gzip(bytes, "a.gz", kMaxBytes);
  const std::string start = dbsa::unpack_gzip_start(bytes, kStart);
  require(start.size() <= kStart);
  if (!text.ok()) {
    require(text.error().message.starts_with("a.gz: expected "));
    return 0;
  }
  require(text->size() <= kMaxBytes && text->substr(0, kStart) == start);
  const auto packed = dbsa::pack_gzip(*text);
  require(packed.ok() && dbsa::unpack_gzip(*packed, "a.gz", kMaxBytes).value() == *text);
  return 0;
}
