// Reads the components of tokenizer.json (normalizer, pre_tokenizer, decoder): each is an object
// with a "type" and settings. What is unknown, missing or of a wrong type is an error that names
// the place ("pre_tokenizer.pretokenizers[1].behavior").
#pragma once

#include <dbsa/sdk/result.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

class ComponentReader {
 public:
  ComponentReader(const nlohmann::json& object, std::string place)
      : object_(object), place_(std::move(place)) {}

  // The "type"; an error unless the component is an object that has one.
  Result<std::string> type() const;

  // Refuses settings other than these and "type".
  Status allow_only(std::initializer_list<std::string_view> keys) const;

  bool has(std::string_view key) const;
  bool is_null(std::string_view key) const;  // absent or null
  Result<bool> boolean(std::string_view key) const;
  Result<bool> boolean(std::string_view key, bool fallback) const;
  Result<std::string> string(std::string_view key) const;
  Result<int64_t> integer(std::string_view key) const;
  // The components of a list, e.g. "normalizers" of a Sequence.
  Result<std::vector<ComponentReader>> list(std::string_view key) const;
  // The one entry of {"String": "..."} or {"Regex": "..."} under this key.
  struct Pattern {
    bool is_regex = false;
    std::string text;
  };
  // Longer literals than kMaxLiteralBytes are refused: looking for one takes its length at each
  // place of a text.
  static constexpr size_t kMaxLiteralBytes = 4096;
  Result<Pattern> pattern(std::string_view key) const;

  // Where a step of this type stands, for messages: "normalizer.normalizers[1] (Replace)".
  std::string step_place(const std::string& type) const { return place_ + " (" + type + ")"; }

  // "PLACE: what" (kConfig) for what is not supported.
  Error unsupported(const std::string& what) const;
  // "PLACE.key: what" (kEnvironment) for what is malformed.
  Error malformed(std::string_view key, const std::string& what) const;

 private:
  const nlohmann::json* find(std::string_view key) const;

  const nlohmann::json& object_;
  std::string place_;
};

}  // namespace dbsa
