// The keys of a GGUF file: numbers, texts and arrays of them under names.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/gguf/cursor.h"

namespace dbsa::gguf {

enum class ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// The elements as they lie in the file. Strings: see array_strings.
struct Array {
  ValueType type = ValueType::kU8;
  uint64_t count = 0;
  std::span<const unsigned char> bytes;
};

struct Key {
  std::string name;
  ValueType type = ValueType::kU8;
  uint64_t at = 0;  // the value's first byte in the file
  // Integers below zero are int64_t, other integers uint64_t.
  std::variant<uint64_t, int64_t, double, bool, std::string_view, Array> value;
};

// The key of this name among keys that ascend by name; nullptr if absent.
const Key* find_key(std::span<const Key> keys, std::string_view name);

inline constexpr uint64_t kMaxNameBytes = 65'535;

// Reads the key that the cursor stands at, the index-th of the file. Fails with kEnvironment,
// naming the key and the byte. Texts and arrays are views of the cursor's bytes.
Result<Key> read_key(uint64_t index, Cursor& cursor);

// The strings of an array of strings, checked again: a file may change under its mapping.
// kEnvironment where they leave the array, or it has other elements.
Result<std::vector<std::string_view>> array_strings(const std::string& file, const Key& key);

// "u32", "string", "array of string".
std::string value_type_name(const Key& key);

}  // namespace dbsa::gguf
