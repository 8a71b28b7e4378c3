#include "kv_layout.h"

#include "bf16.h"

#include <cstring>

namespace dbsa::cpu {
namespace {

// Calls body(element type tag) for the layout's type.
template <typename Body>
void by_type(bool bf16, Body&& body) {
  if (bf16) {
    body(uint16_t{});
  } else {
    body(float{});
  }
}

void put(float* to, float value) { *to = value; }
void put(uint16_t* to, float value) { *to = f32_to_bf16(value); }
float widen(float value) { return value; }
float widen(uint16_t value) { return bf16_to_f32(value); }

}  // namespace

void KvLayout::write_key(void* head, int64_t token, const float* key) const {
  by_type(bf16, [&](auto type) {
    auto* to = static_cast<decltype(type)*>(head);
    for (int64_t d = 0; d < head_dim; ++d) put(to + key_index(token, d), key[d]);
  });
}

void KvLayout::write_value(void* values, int64_t token, const float* value) const {
  by_type(bf16, [&](auto type) {
    auto* to = static_cast<decltype(type)*>(values);
    for (int64_t d = 0; d < head_dim; ++d) put(to + value_index(token, d), value[d]);
  });
}

void KvLayout::copy_prefix(const void* source, int64_t source_tokens, int64_t tokens,
                           void* plane) const {
  for (int64_t h = 0; h < kv_heads; ++h) {
    const char* from = static_cast<const char*>(source) + h * head_bytes(source_tokens);
    char* keys = static_cast<char*>(plane) + h * head_bytes(tokens);
    char* values = keys + key_bytes(tokens);
    std::memcpy(keys, from, static_cast<size_t>(key_bytes(tokens)));
    std::memcpy(values, from + key_bytes(source_tokens), static_cast<size_t>(value_bytes(tokens)));
    by_type(bf16, [&](auto type) {
      using T = decltype(type);
      for (int64_t t = tokens; t < padded(tokens); ++t) {
        for (int64_t d = 0; d < head_dim; ++d) {
          reinterpret_cast<T*>(keys)[key_index(t, d)] = T{};
          reinterpret_cast<T*>(values)[value_index(t, d)] = T{};
        }
      }
    });
  }
}

void KvLayout::to_token_major(const void* plane, int64_t tokens, float* destination) const {
  by_type(bf16, [&](auto type) {
    using T = decltype(type);
    for (int64_t h = 0; h < kv_heads; ++h) {
      const char* head = static_cast<const char*>(plane) + h * head_bytes(tokens);
      const T* keys = reinterpret_cast<const T*>(head);
      const T* values = reinterpret_cast<const T*>(head + key_bytes(tokens));
      float* key = destination + h * tokens * head_dim;
      float* value = key + kv_heads * tokens * head_dim;
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t d = 0; d < head_dim; ++d) {
          key[t * head_dim + d] = widen(keys[key_index(t, d)]);
          value[t * head_dim + d] = widen(values[value_index(t, d)]);
        }
      }
    }
  });
}

}  // namespace dbsa::cpu
