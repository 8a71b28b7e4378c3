// Streams integers and texts into an XXH3-128, each text with its length, so that no two inputs run
// together. Include it in .cc files only: it brings all of xxhash.
#pragma once

#include <dbsa/sdk/kv_store.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace dbsa {

class Hasher {
 public:
  Hasher() { XXH3_128bits_reset(&state_); }

  void bytes(const void* data, size_t size) { XXH3_128bits_update(&state_, data, size); }
  void integer(int64_t value) { bytes(&value, sizeof value); }
  void text(std::string_view value) {
    integer(static_cast<int64_t>(value.size()));
    bytes(value.data(), value.size());
  }
  KvKey finish() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_));
    return KvKey::from(canonical.digest);
  }

 private:
  XXH3_state_t state_;
};

}  // namespace dbsa
