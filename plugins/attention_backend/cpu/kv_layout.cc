#include "kv_layout.h"

#include "bf16.h"

#include <cstring>
#include <type_traits>

namespace dbsa::cpu {
namespace {

// Calls body(element type tag) for the layout's type.
template <typename Body>
void by_type(KvType type, Body&& body) {
  switch (type) {
    case KvType::kF32:
      return body(float{});
    case KvType::kBf16:
      return body(uint16_t{});
    case KvType::kInt8:
      return body(int8_t{});
  }
}

template <typename T>
T* at(void* plane, int64_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(plane) + offset);
}
template <typename T>
const T* at(const void* plane, int64_t offset) {
  return reinterpret_cast<const T*>(static_cast<const char*>(plane) + offset);
}

}  // namespace

void KvLayout::write(void* plane, int64_t tokens, int64_t kv_head, int64_t token,
                     const Row& row) const {
  const Head to = head(tokens, kv_head);
  by_type(type, [&](auto tag) {
    using T = decltype(tag);
    T* keys = at<T>(plane, to.keys) + key_index(token, 0);
    T* values = at<T>(plane, to.values) + value_index(token, 0);
    const T* key = static_cast<const T*>(row.key);
    const T* value = static_cast<const T*>(row.value);
    if constexpr (std::is_same_v<T, uint16_t>) {  // two dimensions, or tokens, side by side
      for (int64_t d = 0; d < head_dim; d += 2) {
        keys[d * kPanel] = key[d];
        keys[d * kPanel + 1] = key[d + 1];
      }
      for (int64_t d = 0; d < head_dim; ++d) values[2 * d] = value[d];
    } else {
      for (int64_t d = 0; d < head_dim; ++d) keys[d * kPanel] = key[d];
      std::memcpy(values, value, static_cast<size_t>(head_dim) * sizeof(T));
    }
  });
  const auto put = [&](int64_t offset, const uint16_t* from, int64_t count) {
    for (int64_t s = 0; s < count; ++s)
      at<uint16_t>(plane, offset)[scale_index(token, s, count)] = from[s];
  };
  put(to.key_scales, row.key_scales, key_scales());
  put(to.value_scales, row.value_scales, value_scales());
}

void KvLayout::read_key(const void* plane, int64_t tokens, int64_t kv_head, int64_t token,
                        float* key) const {
  const int64_t offset = head(tokens, kv_head).keys;
  const uint16_t* keys = at<uint16_t>(plane, offset) + key_index(token, 0);
  for (int64_t d = 0; d < head_dim; d += 2) {
    key[d] = bf16_to_f32(keys[d * kPanel]);
    key[d + 1] = bf16_to_f32(keys[d * kPanel + 1]);
  }
}

void KvLayout::read_value(const void* plane, int64_t tokens, int64_t kv_head, int64_t token,
                          float* value) const {
  const int64_t offset = head(tokens, kv_head).values;
  const uint16_t* values = at<uint16_t>(plane, offset) + value_index(token, 0);
  for (int64_t d = 0; d < head_dim; ++d) value[d] = bf16_to_f32(values[2 * d]);
}

void KvLayout::copy_prefix(const void* source, int64_t source_tokens, int64_t tokens,
                           void* plane) const {
  const int64_t gap = kv_heads * head_bytes(tokens);  // between the heads and their scales
  std::memset(at<char>(plane, gap), 0, static_cast<size_t>(scale_offset(tokens) - gap));
  const auto copy = [&](int64_t from, int64_t to, int64_t bytes) {
    std::memcpy(at<char>(plane, to), at<char>(source, from), static_cast<size_t>(bytes));
  };
  for (int64_t h = 0; h < kv_heads; ++h) {
    const Head from = head(source_tokens, h);
    const Head to = head(tokens, h);
    copy(from.keys, to.keys, key_bytes(tokens));
    copy(from.values, to.values, value_bytes(tokens));
    copy(from.key_scales, to.key_scales, key_scale_bytes(tokens));
    copy(from.value_scales, to.value_scales, value_scale_bytes(tokens));
    by_type(type, [&](auto tag) {
      using T = decltype(tag);
      for (int64_t t = tokens; t < padded(tokens); ++t) {
        for (int64_t d = 0; d < head_dim; ++d) {
          at<T>(plane, to.keys)[key_index(t, d)] = T{};
          at<T>(plane, to.values)[value_index(t, d)] = T{};
        }
        for (int64_t s = 0; s < key_scales(); ++s)
          at<uint16_t>(plane, to.key_scales)[scale_index(t, s, key_scales())] = 0;
        for (int64_t s = 0; s < value_scales(); ++s)
          at<uint16_t>(plane, to.value_scales)[scale_index(t, s, value_scales())] = 0;
      }
    });
  }
}

void KvLayout::to_token_major(const void* plane, int64_t tokens, float* destination) const {
  by_type(type, [&](auto tag) {
    using T = decltype(tag);
    for (int64_t h = 0; h < kv_heads; ++h) {
      const Head from = head(tokens, h);
      const auto widen = [&](T element, int64_t offset, int64_t t, int64_t d, int64_t group) {
        if constexpr (std::is_same_v<T, int8_t>) {
          const uint16_t scale =
              at<uint16_t>(plane, offset)[scale_index(t, d / group, scales(group))];
          return bf16_to_f32(f32_to_bf16(static_cast<float>(element) * bf16_to_f32(scale)));
        } else if constexpr (std::is_same_v<T, uint16_t>) {
          return bf16_to_f32(element);
        } else {
          return element;
        }
      };
      const T* keys = at<T>(plane, from.keys);
      const T* values = at<T>(plane, from.values);
      float* key = destination + h * tokens * head_dim;
      float* value = key + kv_heads * tokens * head_dim;
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t d = 0; d < head_dim; ++d) {
          key[t * head_dim + d] = widen(keys[key_index(t, d)], from.key_scales, t, d, kScaledKeys);
          value[t * head_dim + d] =
              widen(values[value_index(t, d)], from.value_scales, t, d, kScaledValues);
        }
      }
    }
  });
}

}  // namespace dbsa::cpu
