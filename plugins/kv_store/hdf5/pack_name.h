// Names of published packs: pack-00000001.h5 upwards, 12 digits at most. A later number holds the
// newer copy of a key.
#pragma once

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace dbsa::kv_pack {

// No pack has a larger one, so that there is always a next number to count to. A file that is named
// as if it had is not a pack.
inline constexpr uint64_t kMaxPackNumber = 999'999'999'999;

inline std::string pack_name(uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return "pack-" + digits + ".h5";
}

// Whether a file is named like a pack, with a number that packs have or not.
inline bool looks_like_pack(std::string_view name) {
  return name.starts_with("pack-") && name.ends_with(".h5");
}

// The number in a pack's name; nothing for any other file.
inline std::optional<uint64_t> pack_number(std::string_view name) {
  if (!looks_like_pack(name)) return std::nullopt;
  const std::string_view digits = name.substr(5, name.size() - 8);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end() || number > kMaxPackNumber ||
      pack_name(number) != name)
    return std::nullopt;
  return number;
}

// Files of a folder that look like packs and are not, because of their number.
inline std::vector<std::string> misnamed_packs(const std::filesystem::path& folder) {
  std::vector<std::string> found;
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder, failed), end;
  for (; !failed && entry != end; entry.increment(failed))
    if (const std::string name = entry->path().filename().string();
        looks_like_pack(name) && !pack_number(name))
      found.push_back(entry->path().string());
  return found;
}

}  // namespace dbsa::kv_pack
