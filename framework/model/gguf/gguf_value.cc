#include "model/gguf/gguf_value.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/checkpoint/tensor_file.h"

namespace dbsa::gguf {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

// Bytes of a value; 0 for strings and arrays.
uint64_t width_of(ValueType type) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
  return 0;
}

void set_signed(int64_t value, Key& key) {
  if (value < 0)
    key.value = value;
  else
    key.value = static_cast<uint64_t>(value);
}

void set_scalar(const unsigned char* raw, Key& key) {
  switch (key.type) {
    case ValueType::kU8:
    case ValueType::kBool:
      key.value = uint64_t{load<uint8_t>(raw)};
      break;
    case ValueType::kU16:
      key.value = uint64_t{load<uint16_t>(raw)};
      break;
    case ValueType::kU32:
      key.value = uint64_t{load<uint32_t>(raw)};
      break;
    case ValueType::kU64:
      key.value = load<uint64_t>(raw);
      break;
    case ValueType::kI8:
      set_signed(load<int8_t>(raw), key);
      break;
    case ValueType::kI16:
      set_signed(load<int16_t>(raw), key);
      break;
    case ValueType::kI32:
      set_signed(load<int32_t>(raw), key);
      break;
    case ValueType::kI64:
      set_signed(load<int64_t>(raw), key);
      break;
    case ValueType::kF32:
      key.value = double{load<float>(raw)};
      break;
    case ValueType::kF64:
      key.value = load<double>(raw);
      break;
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
}

Status read_array(const std::string& place, Cursor& cursor, Key& key) {
  uint32_t type = 0;
  Array array;
  if (!cursor.read(type) || !cursor.read(array.count))
    return cursor.ends(place, "the type and the number of an array's elements");
  array.type = static_cast<ValueType>(type);
  if (type >= kTypeNames.size() || array.type == ValueType::kArray)
    return cursor.damaged(place + ", byte " + std::to_string(key.at),
                          "expected an array of numbers, booleans or strings, found " +
                              (type >= kTypeNames.size() ? "type " + std::to_string(type)
                                                         : std::string("an array of arrays")));
  const std::string elements = "an array of " + std::to_string(array.count) + " elements";
  if (array.type != ValueType::kString) {
    const uint64_t width = width_of(array.type);
    if (array.count > cursor.left() / width) return cursor.ends(place, elements);
    (void)cursor.take(array.count * width, array.bytes);
    key.value = array;
    return {};
  }
  Cursor ahead = cursor;
  std::string_view text;
  // Each takes 8 bytes at least, so the loop ends with the file.
  for (uint64_t i = 0; i < array.count; ++i)
    if (!ahead.string(text))
      return ahead.ends(place, elements + " whole, string " + std::to_string(i) + " too");
  (void)cursor.take(ahead.at() - cursor.at(), array.bytes);
  key.value = array;
  return {};
}

Status read_value(const std::string& place, Cursor& cursor, Key& key) {
  if (key.type == ValueType::kArray) return read_array(place, cursor, key);
  if (key.type == ValueType::kString) {
    std::string_view text;
    if (!cursor.string(text)) return cursor.ends(place, "a string");
    key.value = text;
    return {};
  }
  std::span<const unsigned char> raw;
  if (!cursor.take(width_of(key.type), raw)) return cursor.ends(place, "a value");
  set_scalar(raw.data(), key);
  if (key.type != ValueType::kBool) return {};
  const uint64_t number = std::get<uint64_t>(key.value);
  if (number > 1)
    return cursor.damaged(place + ", byte " + std::to_string(key.at),
                          "expected 0 or 1, found " + std::to_string(number));
  key.value = number == 1;
  return {};
}

}  // namespace

const Key* find_key(std::span<const Key> keys, std::string_view name) {
  const auto it =
      std::lower_bound(keys.begin(), keys.end(), name,
                       [](const Key& key, std::string_view wanted) { return key.name < wanted; });
  return it != keys.end() && it->name == name ? &*it : nullptr;
}

Result<Key> read_key(uint64_t index, Cursor& cursor) {
  const uint64_t start = cursor.at();
  std::string_view name;
  const std::string number = "key " + std::to_string(index);
  if (!cursor.string(name)) return cursor.ends(number, "the key's name");
  if (name.empty() || name.size() > kMaxNameBytes)
    return cursor.damaged(number + ", byte " + std::to_string(start),
                          "expected a name of 1 to " + std::to_string(kMaxNameBytes) +
                              " bytes, found " + std::to_string(name.size()));
  const std::string place = "key " + printable_name(name);
  uint32_t type = 0;
  const uint64_t type_at = cursor.at();
  if (!cursor.read(type)) return cursor.ends(place, "the value's type");
  if (type >= kTypeNames.size())
    return cursor.damaged(place + ", byte " + std::to_string(type_at),
                          "expected a type from 0 to 12, found " + std::to_string(type));
  Key key;
  key.name = name;
  key.type = static_cast<ValueType>(type);
  key.at = cursor.at();
  DBSA_RETURN_IF_ERROR(read_value(place, cursor, key));
  return key;
}

Result<std::vector<std::string_view>> array_strings(const std::string& file, const Key& key) {
  const auto fault = [&](const std::string& what) {
    return Error{ErrorCode::kEnvironment,
                 file + ": key " + printable_name(key.name) + ", byte " + std::to_string(key.at) +
                     ": expected an array of strings, found " + what + "; fetch the file again",
                 {}};
  };
  const auto* array = std::get_if<Array>(&key.value);
  if (array == nullptr || array->type != ValueType::kString) return fault(value_type_name(key));
  Cursor cursor(file, array->bytes);
  std::vector<std::string_view> strings;
  strings.reserve(array->count);
  for (uint64_t i = 0; i < array->count; ++i) {
    std::string_view text;
    if (!cursor.string(text)) return fault("other bytes than before");
    strings.push_back(text);
  }
  return strings;
}

std::string value_type_name(const Key& key) {
  const std::string_view name = kTypeNames[static_cast<size_t>(key.type)];
  const auto* array = std::get_if<Array>(&key.value);
  if (array == nullptr) return std::string(name);
  return "an array of " + std::string(kTypeNames[static_cast<size_t>(array->type)]);
}

}  // namespace dbsa::gguf
