// Config: a plugin's own table, as the host hands it over: checked against the manifest's schema,
// defaults filled in. A key that the manifest does not declare cannot be here.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

namespace dbsa {

class Config {
 public:
  static Result<Config> parse(const char* text);

  explicit Config(nlohmann::json value) : value_(std::move(value)) {}

  // The value of a key; kConfig with a pointer to it when it is absent or of another type.
  template <typename T>
  Result<T> get(std::string_view key) const {
    const auto found = value_.find(key);
    if (found == value_.end()) return fault(key, "is missing");
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      // The library would wrap, cut and convert.
      const bool fits = found->is_number_integer() && (std::is_signed_v<T> || *found >= 0);
      if (!fits) return unfit(key, "has the wrong type or sign", *found);
    }
    try {
      return found->template get<T>();
    } catch (const nlohmann::json::exception&) {
      return unfit(key, "has the wrong type", *found);
    }
  }

  bool has(std::string_view key) const { return value_.contains(key); }
  const nlohmann::json& json() const { return value_; }

  // An error about one key, for check_config and create.
  static Error fault(std::string_view key, const std::string& what) {
    return Error{ErrorCode::kConfig, std::string(key) + " " + what, std::string("/").append(key)};
  }

 private:
  static Error unfit(std::string_view key, const char* what, const nlohmann::json& found);

  nlohmann::json value_;
};

template <>
Result<std::string> Config::get(std::string_view key) const;

}  // namespace dbsa

#ifndef DBSA_SDK_COMPILED
#include <dbsa/sdk/config_inline.h>
#endif
