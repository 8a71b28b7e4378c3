// Streams integers and texts into an XXH3-128, each text with its length, so that no two inputs run
// together. Include it in .cc files only: it brings all of xxhash.
#pragma once

#include <dbsa/sdk/kv_store.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace dbsa {

class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_128bits_reset(state_.get()); }

  void bytes(const void* data, size_t size) { XXH3_128bits_update(state_.get(), data, size); }
  void integer(int64_t value) { bytes(&value, sizeof value); }
  void text(std::string_view value) {
    integer(static_cast<int64_t>(value.size()));
    bytes(value.data(), value.size());
  }
  KvKey finish() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    return KvKey::from(canonical.digest);
  }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace dbsa
