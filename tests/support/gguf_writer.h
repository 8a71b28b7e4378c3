// Writes GGUF files for tests, sound or with one part of them wrong.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dbsa::test {

// The bytes of a number, little endian.
template <typename T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::string gguf_string(const std::string& text) {
  return raw<uint64_t>(text.size()) + text;
}

struct GgufKey {
  std::string name;
  uint32_t type = 0;
  std::string value;  // its bytes
};

struct GgufTensor {
  std::string name;
  std::vector<uint64_t> dimensions;  // fastest first
  uint32_t type = 0;
  std::string data;
  std::optional<uint64_t> offset = {};  // where it is not written: the data's own
};

// Everything a file says; what is not set follows from the rest.
struct GgufPlan {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count = {}, key_count = {};
  std::vector<GgufKey> keys;
  std::vector<GgufTensor> tensors;
  uint64_t alignment = 32;

  GgufPlan& u8(const std::string& name, uint8_t v) { return add(name, 0, raw(v)); }
  GgufPlan& u16(const std::string& name, uint16_t v) { return add(name, 2, raw(v)); }
  GgufPlan& u32(const std::string& name, uint32_t v) { return add(name, 4, raw(v)); }
  GgufPlan& i32(const std::string& name, int32_t v) { return add(name, 5, raw(v)); }
  GgufPlan& f32(const std::string& name, float v) { return add(name, 6, raw(v)); }
  GgufPlan& boolean(const std::string& name, bool v) {
    return add(name, 7, std::string(1, v ? '\1' : '\0'));
  }
  GgufPlan& text(const std::string& name, const std::string& v) {
    return add(name, 8, gguf_string(v));
  }
  GgufPlan& texts(const std::string& name, const std::vector<std::string>& v) {
    std::string bytes = raw<uint32_t>(8) + raw<uint64_t>(v.size());
    for (const std::string& one : v) bytes += gguf_string(one);
    return add(name, 9, bytes);
  }
  GgufPlan& floats(const std::string& name, const std::vector<float>& v) {
    return add(name, 9, raw<uint32_t>(6) + raw<uint64_t>(v.size()) + raw(v));
  }
  GgufPlan& ints(const std::string& name, const std::vector<int32_t>& v) {
    return add(name, 9, raw<uint32_t>(5) + raw<uint64_t>(v.size()) + raw(v));
  }
  GgufPlan& add(const std::string& name, uint32_t type, const std::string& value) {
    keys.push_back({name, type, value});
    return *this;
  }
  GgufPlan& tensor(const std::string& name, std::vector<uint64_t> dimensions, uint32_t type,
                   std::string data) {
    tensors.push_back({name, std::move(dimensions), type, std::move(data), {}});
    return *this;
  }
  bool has(const std::string& name) const {
    return std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; });
  }
  // The key of this name, which is there.
  GgufKey& key(const std::string& name) {
    for (GgufKey& key : keys)
      if (key.name == name) return key;
    return keys.at(keys.size());
  }
  void remove(const std::string& name) {
    std::erase_if(keys, [&](const GgufKey& key) { return key.name == name; });
  }

  std::string bytes() const {
    std::string file = magic + raw(version) + raw(tensor_count.value_or(tensors.size())) +
                       raw(key_count.value_or(keys.size()));
    for (const GgufKey& key : keys) file += gguf_string(key.name) + raw(key.type) + key.value;
    std::string data;
    for (const GgufTensor& tensor : tensors) {
      file += gguf_string(tensor.name) + raw(static_cast<uint32_t>(tensor.dimensions.size()));
      for (const uint64_t extent : tensor.dimensions) file += raw(extent);
      data.resize((data.size() + alignment - 1) / alignment * alignment);
      file += raw(tensor.type) + raw(tensor.offset.value_or(data.size()));
      data += tensor.data;
    }
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

}  // namespace dbsa::test
