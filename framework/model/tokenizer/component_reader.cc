#include "model/tokenizer/component_reader.h"
#include "model/tokenizer/make_error.h"

#include <algorithm>

namespace dbsa {

using nlohmann::json;

Error ComponentReader::unsupported(const std::string& what) const {
  return make_error(ErrorCode::kConfig, place_ + ": " + what);
}

Error ComponentReader::malformed(std::string_view key, const std::string& what) const {
  std::string place = place_;
  if (!key.empty()) place.append(1, '.').append(key);
  return make_error(ErrorCode::kEnvironment, place + ": " + what);
}

const json* ComponentReader::find(std::string_view key) const {
  if (!object_.is_object()) return nullptr;
  const auto it = object_.find(std::string(key));
  return it == object_.end() ? nullptr : &*it;
}

bool ComponentReader::is_null(std::string_view key) const {
  const json* value = find(key);
  return value == nullptr || value->is_null();
}

bool ComponentReader::has(std::string_view key) const { return find(key) != nullptr; }

Result<std::string> ComponentReader::type() const {
  if (!object_.is_object())
    return malformed("", "expected an object, found " + std::string(object_.type_name()));
  return string("type");
}

Status ComponentReader::allow_only(std::initializer_list<std::string_view> keys) const {
  for (const auto& item : object_.items()) {
    if (item.key() != "type" && std::find(keys.begin(), keys.end(), item.key()) == keys.end())
      return unsupported("the setting \"" + item.key() + "\" is not supported");
  }
  return {};
}

Result<bool> ComponentReader::boolean(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return malformed(key, "missing; expected true or false");
  if (!value->is_boolean())
    return malformed(key, "expected true or false, found " + std::string(value->type_name()));
  return value->get<bool>();
}

Result<bool> ComponentReader::boolean(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : Result<bool>(fallback);
}

Result<std::string> ComponentReader::string(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return malformed(key, "missing; expected a string");
  if (!value->is_string())
    return malformed(key, "expected a string, found " + std::string(value->type_name()));
  return value->get<std::string>();
}

Result<int64_t> ComponentReader::integer(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return malformed(key, "missing; expected a whole number");
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX))
    return malformed(key, "expected a whole number, found " + value->dump());
  return value->get<int64_t>();
}

Result<std::vector<ComponentReader>> ComponentReader::list(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr || !value->is_array()) return malformed(key, "expected a list");
  std::vector<ComponentReader> parts;
  for (size_t i = 0; i < value->size(); ++i)
    parts.emplace_back((*value)[i],
                       place_ + "." + std::string(key) + "[" + std::to_string(i) + "]");
  return parts;
}

Result<ComponentReader::Pattern> ComponentReader::pattern(std::string_view key) const {
  const json* value = find(key);
  if (value != nullptr && value->is_object() && value->size() == 1) {
    const auto it = value->begin();
    if (it.key() == "String" && it->is_string() &&
        it->get_ref<const std::string&>().size() > kMaxLiteralBytes)
      return unsupported("a pattern of more than " + std::to_string(kMaxLiteralBytes) +
                         " bytes is not supported");
    if ((it.key() == "String" || it.key() == "Regex") && it->is_string())
      return Pattern{it.key() == "Regex", it->get<std::string>()};
  }
  return malformed(key, "expected {\"String\": \"...\"} or {\"Regex\": \"...\"}");
}

}  // namespace dbsa
