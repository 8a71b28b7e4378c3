// Any bytes as JSON: what is taken is nested no deeper than it may be, and the same in both forms.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/json_text.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Json>
bool is_bounded(const Json& value, int levels) {
  if (!value.is_structured()) return true;
  if (levels == 0) return false;
  for (const Json& item : value)
    if (!is_bounded(item, levels - 1)) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  nlohmann::json value, without;
  nlohmann::ordered_json ordered;
  const auto fault = dbsa::parse_json(text, value);
  const auto also = dbsa::parse_json(text, ordered);
  const auto dropping = dbsa::parse_json(text, without, "a");
  require(fault.has_value() == also.has_value() && fault.has_value() == dropping.has_value());
  if (fault) {
    require(fault->kind == also->kind && fault->byte == also->byte);
    require(fault->kind == dropping->kind && fault->byte <= size + 1);
    return 0;
  }
  require(is_bounded(value, dbsa::kMaxJsonDepth) && is_bounded(ordered, dbsa::kMaxJsonDepth));
  if (value.is_object()) value.erase("a");
  require(without == value || !value.is_object());
  return 0;
}
