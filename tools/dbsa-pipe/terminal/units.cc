#include "terminal/units.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace dbsa::cli {
namespace {

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text;
  const int length = std::snprintf(text.data(), text.size(), pattern, values...);
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace

std::string human_count(int64_t count) {
  std::string digits = std::to_string(count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string human_bytes(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return format("%.1f %s", value, kUnits[unit]);
}

std::string human_seconds(double seconds) {
  if (seconds < 0.9995e-3) return format("%.0f us", seconds * 1e6);
  if (seconds < 0.09995) return format("%.1f ms", seconds * 1e3);
  if (seconds < 0.9995) return format("%.0f ms", seconds * 1e3);
  if (seconds < 9.995) return format("%.2f s", seconds);
  if (seconds < 99.95) return format("%.1f s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600) return format("%lld min %02lld s", whole / 60, whole % 60);
  return format("%lld h %02lld min", whole / 3600, whole % 3600 / 60);
}

std::string clock_seconds(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(seconds));
  if (whole < 3600) return format("%lld:%02lld", whole / 60, whole % 60);
  return format("%lld:%02lld:%02lld", whole / 3600, whole % 3600 / 60, whole % 60);
}

std::string human_rate(double per_second) {
  if (per_second < 9.95) return format("%.1f", per_second);
  return human_count(std::llround(per_second));
}

std::string human_ratio(double ratio) { return format("%.1f %%", 100 * ratio); }

std::string counted(int64_t count, const std::string& noun) {
  return human_count(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string counted_queries(int64_t count) {
  return count == 1 ? "1 query" : human_count(count) + " queries";
}

}  // namespace dbsa::cli
