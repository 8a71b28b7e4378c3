// JSON as TOML text, for files that people may edit and run again.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace dbsa {

// An object of scalars, arrays and tables; null values are left out, which TOML lacks. Reading the
// text gives the same values.
std::string to_toml(const nlohmann::json& value);

// One value, as it stands behind a key's `=`, on one line.
std::string to_toml_value(const nlohmann::json& value);

}  // namespace dbsa
