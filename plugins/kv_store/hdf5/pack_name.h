// Names of published packs: pack-00000001.h5 upwards. A later number holds the newer copy of a key.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbsa::kv_pack {

inline std::string pack_name(uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return "pack-" + digits + ".h5";
}

// The number in a pack's name; nothing for any other file.
inline std::optional<uint64_t> pack_number(std::string_view name) {
  constexpr std::string_view kBegin = "pack-", kEnd = ".h5";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return std::nullopt;
  const std::string_view digits = name.substr(kBegin.size(), name.size() - 8);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end() || pack_name(number) != name) return std::nullopt;
  return number;
}

}  // namespace dbsa::kv_pack
