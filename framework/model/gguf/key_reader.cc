#include "model/gguf/key_reader.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "model/checkpoint/tensor_file.h"

namespace dbsa::gguf {
namespace {

constexpr const char* kFetch = "; fetch the file again";

std::string value_text(const Key& key) {
  if (const auto* number = std::get_if<uint64_t>(&key.value)) return std::to_string(*number);
  if (const auto* number = std::get_if<int64_t>(&key.value)) return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&key.value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string_view>(&key.value)) return printable_name(*text);
  if (const auto* truth = std::get_if<bool>(&key.value)) return *truth ? "true" : "false";
  return value_type_name(key);
}

}  // namespace

const Key* KeyReader::field(const std::string& name) {
  read_.insert(name);
  return find_key(keys_, name);
}

void KeyReader::fault(const std::string& name, const std::string& what) {
  const Key* key = find_key(keys_, name);
  faults_->push_back(path_ + ": key " + printable_name(name) +
                     (key == nullptr ? "" : ", byte " + std::to_string(key->at)) + ": " + what);
}

void KeyReader::wrong(const Key& key, const std::string& expected) {
  fault(key.name, "expected " + expected + ", found " + value_text(key) + kFetch);
}

void KeyReader::missing(const std::string& name, const std::string& expected) {
  fault(name, "is missing, expected " + expected + kFetch);
}

int64_t KeyReader::integer(const std::string& name, std::optional<int64_t> fallback, int64_t least,
                           int64_t most) {
  const std::string expected =
      "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  const Key* key = field(name);
  if (key == nullptr) {
    if (!fallback) missing(name, expected);
    return fallback.value_or(least);
  }
  const auto* value = std::get_if<uint64_t>(&key->value);
  if (value != nullptr && *value <= static_cast<uint64_t>(most) &&
      static_cast<int64_t>(*value) >= least)
    return static_cast<int64_t>(*value);
  wrong(*key, expected);
  return fallback.value_or(least);
}

double KeyReader::number(const std::string& name, std::optional<double> fallback, double above) {
  const std::string expected = "a number above " + std::to_string(above);
  const Key* key = field(name);
  if (key == nullptr) {
    if (!fallback) missing(name, expected);
    return fallback.value_or(above);
  }
  const auto* value = std::get_if<double>(&key->value);
  if (value != nullptr && std::isfinite(*value) && *value > above) return *value;
  wrong(*key, expected);
  return fallback.value_or(above);
}

std::optional<bool> KeyReader::boolean(const std::string& name) {
  const Key* key = field(name);
  if (key == nullptr) return std::nullopt;
  const auto* value = std::get_if<bool>(&key->value);
  if (value != nullptr) return *value;
  wrong(*key, "true or false");
  return std::nullopt;
}

std::string KeyReader::text(const std::string& name, std::optional<std::string> fallback) {
  const Key* key = field(name);
  if (key == nullptr) {
    if (!fallback) missing(name, "a text");
    return fallback.value_or("");
  }
  if (const auto* value = std::get_if<std::string_view>(&key->value)) return std::string(*value);
  wrong(*key, "a text");
  return fallback.value_or("");
}

std::vector<std::string_view> KeyReader::strings(const std::string& name) {
  const Key* key = field(name);
  if (key == nullptr) return {};
  auto strings = array_strings(path_, *key);
  if (strings.ok()) return std::move(strings).value();
  faults_->push_back(strings.error().message);
  return {};
}

const Array* KeyReader::array(const std::string& name, ValueType type, const char* expected) {
  const Key* key = field(name);
  if (key == nullptr) return nullptr;
  const auto* found = std::get_if<Array>(&key->value);
  if (found != nullptr && found->type == type) return found;
  wrong(*key, expected);
  return nullptr;
}

std::vector<float> KeyReader::floats(const std::string& name) {
  const Array* found = array(name, ValueType::kF32, "an array of f32");
  std::vector<float> values(found == nullptr ? 0 : found->count);
  if (!values.empty()) std::memcpy(values.data(), found->bytes.data(), found->bytes.size());
  return values;
}

std::vector<int32_t> KeyReader::integers(const std::string& name) {
  const Array* found = array(name, ValueType::kI32, "an array of i32");
  std::vector<int32_t> values(found == nullptr ? 0 : found->count);
  if (!values.empty()) std::memcpy(values.data(), found->bytes.data(), found->bytes.size());
  return values;
}

std::vector<bool> KeyReader::booleans(const std::string& name) {
  const Array* found = array(name, ValueType::kBool, "an array of bool");
  if (found == nullptr) return {};
  std::vector<bool> values;
  for (const unsigned char byte : found->bytes) values.push_back(byte != 0);
  return values;
}

void KeyReader::refuse_unread(std::string_view prefix, std::string_view harmless,
                              const std::string& fix) {
  for (const Key& key : keys_)
    if (key.name.starts_with(prefix) && !read_.contains(key.name) && key.name != harmless)
      fault(key.name, "unsupported key with value " + value_text(key) + "; " + fix);
}

}  // namespace dbsa::gguf
