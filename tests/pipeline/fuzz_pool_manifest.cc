// Feeds any bytes to the pool manifest's reader, once as they are and once behind a right head and
// checksum, which whoever forges a manifest can compute, too. What is read is written and read
// back.

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "pipeline/pool/pool_manifest.h"

namespace {

void use(std::string_view bytes) {
  const auto pool = dbsa::decode_pool_manifest(bytes, "fuzz.pool");
  if (!pool.ok()) return;
  const auto again = dbsa::decode_pool_manifest(dbsa::encode_pool_manifest(*pool), "again.pool");
  if (!again.ok() || again->blocks.size() != pool->blocks.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  use(bytes);
  std::string sealed = "DBSAPOOL" + bytes;
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(sealed.data(), sealed.size()));
  sealed.append(reinterpret_cast<const char*>(hash.digest), sizeof hash.digest);
  use(sealed);
  return 0;
}
