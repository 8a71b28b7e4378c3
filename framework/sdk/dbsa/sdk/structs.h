// Structs of the boundary between a host and a plugin of different minor versions. See the rules in
// dbsa/plugin.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace dbsa::sdk {

// What the other side filled of *from; zeros for what it does not know.
template <typename T>
T read_struct(const T* from) {
  T value = {};
  std::memcpy(static_cast<void*>(&value), from, std::min<size_t>(from->struct_size, sizeof(T)));
  value.struct_size = sizeof(T);
  return value;
}

// Fills the other side's *to, which says how long it is.
template <typename T>
void write_struct(const T& from, T* to) {
  const size_t bytes = std::min<size_t>(to->struct_size, sizeof(T));
  std::memcpy(static_cast<void*>(to), &from, bytes);
  to->struct_size = static_cast<uint32_t>(bytes);
}

// An array of the other side, as one of this side's structs: in place where both have the same
// version, else copied.
template <typename T>
class StructArray {
 public:
  StructArray(const T* first, int64_t count) : data_(first) {
    if (count <= 0 || first == nullptr || first->struct_size == sizeof(T)) return;
    const auto* bytes = reinterpret_cast<const char*>(first);
    copies_.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i, bytes += first->struct_size)
      copies_.push_back(read_struct(reinterpret_cast<const T*>(bytes)));
    data_ = copies_.data();
  }
  StructArray(const StructArray&) = delete;
  StructArray& operator=(const StructArray&) = delete;

  const T* data() const { return data_; }

 private:
  const T* data_;
  std::vector<T> copies_;
};

}  // namespace dbsa::sdk
