#include "config/hash128.h"

#include <xxhash.h>

#include <cstdio>

namespace dbsa {
namespace {

Hash128 hash(const void* data, size_t size) {
  const XXH128_hash_t made = XXH3_128bits(data, size);
  return {made.high64, made.low64};
}

}  // namespace

std::string Hash128::hex() const {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return digits;
}

Hash128 hash_bytes(std::span<const unsigned char> bytes) {
  return hash(bytes.data(), bytes.size());
}

Hash128 hash_text(std::string_view text) { return hash(text.data(), text.size()); }

}  // namespace dbsa
