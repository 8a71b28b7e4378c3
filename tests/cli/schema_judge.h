// Validates JSON against a schema of schemas/, by valijson.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace dbsa {

// One line for each fault; "" when the value is valid.
std::string schema_faults(const std::string& schema_file, const nlohmann::json& value);

}  // namespace dbsa
