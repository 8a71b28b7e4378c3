#include "pipeline/encode/block_content.h"

#include <cstring>
#include <string>

#include "host/attention_backend.h"

namespace dbsa {
namespace {

std::string describe(const dbsa_kv_format& format) {
  const auto number = [](uint64_t value) { return std::to_string(value); };
  return number(format.tokens) + " tokens, " + number(format.layers) + " layers of " +
         number(format.plane_bytes) + " bytes, " + number(format.kv_heads) + " KV heads of " +
         number(format.head_dim) + ", " + host::kv_dtype_name(format.dtype) + ", layout " +
         number(format.layout) + " with panels of " + number(format.panel);
}

// Whether every number has an exponent that is not all ones. Word: the unsigned type of its size.
template <typename Word>
bool finite(const unsigned char* bytes, uint64_t count, Word exponent) {
  Word found = 0;
  for (uint64_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    found |= static_cast<Word>((word & exponent) == exponent);
  }
  return found == 0;
}

bool plane_finite(const dbsa_kv_format& format, const unsigned char* plane) {
  constexpr uint16_t kBf16Exponent = 0x7f80;
  if (format.dtype == DBSA_KV_DTYPE_F32)
    return finite<uint32_t>(plane, format.plane_bytes / 4, 0x7f800000);
  // With int8 only the scales can fail to be finite.
  const uint64_t begin = format.dtype == DBSA_KV_DTYPE_I8 ? format.scale_offset : 0;
  return finite<uint16_t>(plane + begin, (format.plane_bytes - begin) / 2, kBf16Exponent);
}

}  // namespace

Status check_format(const dbsa_kv_format& expected, const dbsa_kv_format& found) {
  const bool same = expected.layout == found.layout && expected.dtype == found.dtype &&
                    expected.panel == found.panel && expected.layers == found.layers &&
                    expected.kv_heads == found.kv_heads && expected.head_dim == found.head_dim &&
                    expected.tokens == found.tokens && expected.plane_bytes == found.plane_bytes &&
                    expected.scale_offset == found.scale_offset;
  if (same) return {};
  return Error{ErrorCode::kCorrupt,
               "is not of this model and backend: expected " + describe(expected) + "; found " +
                   describe(found),
               ""};
}

Status check_finite(const dbsa_kv_format& format, int32_t layer, const void* plane) {
  if (format.layout != DBSA_KV_LAYOUT_TOKEN_MAJOR && format.layout != DBSA_KV_LAYOUT_CPU_PANELS)
    return {};
  if (plane_finite(format, static_cast<const unsigned char*>(plane))) return {};
  return Error{ErrorCode::kCorrupt,
               "plane " + std::to_string(layer) + " holds a number that is not finite", ""};
}

}  // namespace dbsa
