#include "model/json_reader.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace dbsa {

Result<nlohmann::json> read_json_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Error{ErrorCode::kEnvironment,
                 path + ": cannot be opened: " + std::strerror(errno) +
                     (errno == ENOENT ? "; expected a whole Hugging Face model folder" : ""),
                 {}};
  }
  std::ostringstream text;
  text << in.rdbuf();
  // An empty file sets failbit as a failed read does; only the latter leaves a cause.
  if (!text && errno != 0) {
    return Error{ErrorCode::kEnvironment, path + ": cannot be read: " + std::strerror(errno), {}};
  }
  return parse_json(path, text.str());
}

Result<nlohmann::json> parse_json(const std::string& file, const std::string& text) {
  // Printing a value recurses, so nesting is bounded here; no file of a model folder comes near.
  constexpr int kDeepest = 64;
  struct TooDeep {};
  try {
    return nlohmann::json::parse(text,
                                 [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
                                   if (depth > kDeepest) throw TooDeep();
                                   return true;
                                 });
  } catch (const TooDeep&) {
    return Error{ErrorCode::kEnvironment,
                 file + ": nested deeper than " + std::to_string(kDeepest) +
                     " levels; the file is damaged: fetch it again",
                 {}};
  } catch (const nlohmann::json::parse_error& e) {
    return Error{ErrorCode::kEnvironment,
                 file + ": byte " + std::to_string(e.byte) +
                     ": expected valid JSON; the file is damaged or cut short: fetch it again",
                 {}};
  }
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
