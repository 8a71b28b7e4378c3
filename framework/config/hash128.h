// The hash by which contents are known in identities, caches and files: XXH3, 128 bits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dbsa {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  static constexpr size_t kDigits = 32;
  bool operator==(const Hash128&) const = default;
  std::string hex() const;  // kDigits digits, the high half first
};

Hash128 hash_bytes(std::span<const unsigned char> bytes);
Hash128 hash_text(std::string_view text);

}  // namespace dbsa
