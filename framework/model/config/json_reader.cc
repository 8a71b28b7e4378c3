#include "model/config/json_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "config/json_text.h"
#include "config/read_file.h"

namespace dbsa {

Result<nlohmann::json> read_json_file(const std::string& path) {
  constexpr uint64_t kMaxBytes = 64 << 20;  // an index of a thousand shards takes a tenth
  const Result<FileText> file = read_file(path, kMaxBytes);
  if (file.ok()) return read_json_text(path, file->text);
  return Error{ErrorCode::kEnvironment,
               file.error().message + (file.error().code == ErrorCode::kNotFound
                                           ? "; expected a whole Hugging Face model folder"
                                           : ""),
               {}};
}

Result<nlohmann::json> read_json_text(const std::string& file, std::string_view text) {
  nlohmann::json value;
  const std::optional<JsonFault> fault = parse_json(text, value);
  if (!fault) return value;
  std::string what =
      ": expected valid JSON, found a number that is out of range; the file is "
      "damaged: fetch it again";
  if (fault->kind == JsonFault::Kind::kTooDeep)
    what = ": nested deeper than " + std::to_string(kMaxJsonDepth) +
           " levels; the file is damaged: fetch it again";
  if (fault->kind == JsonFault::Kind::kSyntax)
    what = ": byte " + std::to_string(fault->byte) +
           ": expected valid JSON; the file is damaged or cut short: fetch it again";
  return Error{ErrorCode::kEnvironment, file + what, {}};
}

std::string json_excerpt(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 100) text = text.substr(0, 97) + "...";
  return text;
}

JsonReader::JsonReader(const nlohmann::json& object, std::string file, std::string pointer,
                       std::vector<std::string>* faults)
    : object_(&object), file_(std::move(file)), pointer_(std::move(pointer)), faults_(faults) {}

std::string JsonReader::pointer(const std::string& key) const { return pointer_ + "/" + key; }

void JsonReader::fault(const std::string& key, const std::string& what) {
  faults_->push_back(file_ + ": " + pointer(key) + ": " + what);
}

void JsonReader::wrong(const std::string& key, const std::string& expected,
                       const nlohmann::json& found) {
  fault(key, "expected " + expected + ", found " + json_excerpt(found));
}

const nlohmann::json* JsonReader::field(const std::string& key) {
  read_.insert(key);
  auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

int64_t JsonReader::integer(const std::string& key, std::optional<int64_t> fallback, int64_t least,
                            int64_t most) {
  const nlohmann::json* value = field(key);
  const std::string expected =
      "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  if (value == nullptr) {
    if (!fallback) fault(key, "is missing, expected " + expected);
    return fallback.value_or(least);
  }
  const bool fits =
      value->is_number_integer() &&
      !(value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) &&
      value->get<int64_t>() >= least && value->get<int64_t>() <= most;
  if (!fits) {
    wrong(key, expected, *value);
    return fallback.value_or(least);
  }
  return value->get<int64_t>();
}

double JsonReader::number(const std::string& key, std::optional<double> fallback, double above) {
  const nlohmann::json* value = field(key);
  char bound[32];
  std::snprintf(bound, sizeof bound, "%g", above);
  const std::string expected = std::string("a number greater than ") + bound;
  if (value == nullptr) {
    if (!fallback) fault(key, "is missing, expected " + expected);
    return fallback.value_or(above + 1);
  }
  if (!value->is_number() || !std::isfinite(value->get<double>()) ||
      !(value->get<double>() > above)) {
    wrong(key, expected, *value);
    return fallback.value_or(above + 1);
  }
  return value->get<double>();
}

bool JsonReader::boolean(const std::string& key, bool fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong(key, "true or false", *value);
  return fallback;
}

std::string JsonReader::text(const std::string& key, std::optional<std::string> fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) {
    if (!fallback) fault(key, "is missing, expected a string");
    return fallback.value_or("");
  }
  if (value->is_string()) return value->get<std::string>();
  wrong(key, "a string", *value);
  return fallback.value_or("");
}

void JsonReader::expect(const std::string& key, const nlohmann::json& value,
                        const std::string& fix) {
  const nlohmann::json* found = field(key);
  if (found == nullptr || *found == value) return;
  fault(key, "expected " + json_excerpt(value) + ", found " + json_excerpt(*found) + "; " + fix);
}

void JsonReader::refuse_unread(std::span<const std::string_view> harmless, const std::string& fix) {
  for (const auto& [key, value] : object_->items()) {
    if (read_.contains(key)) continue;
    if (std::find(harmless.begin(), harmless.end(), key) != harmless.end()) continue;
    fault(key, "unsupported key with value " + json_excerpt(value) + "; " + fix);
  }
}

}  // namespace dbsa
