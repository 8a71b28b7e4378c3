// What of Config reads and writes JSON text. nlohmann's parser and writer take seconds to compile:
// a build of many plugins defines DBSA_SDK_COMPILED and compiles this once, with DBSA_SDK_INLINE
// defined to be nothing; elsewhere config.h includes it.
#pragma once

#include <dbsa/sdk/config.h>

#ifndef DBSA_SDK_INLINE
#define DBSA_SDK_INLINE inline
#endif

namespace dbsa {

DBSA_SDK_INLINE Result<Config> Config::parse(const char* text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object())
    return Error{ErrorCode::kInvalidArgument, "the configuration is not a JSON object", ""};
  return Config(std::move(value));
}

template <>
DBSA_SDK_INLINE Result<std::string> Config::get(std::string_view key) const {
  const auto found = value_.find(key);
  if (found == value_.end()) return fault(key, "is missing");
  if (!found->is_string()) return unfit(key, "has the wrong type", *found);
  return found->get_ref<const std::string&>();
}

DBSA_SDK_INLINE Error Config::unfit(std::string_view key, const char* what,
                                    const nlohmann::json& found) {
  return fault(key, std::string(what) + ", got " + found.dump());
}

}  // namespace dbsa
