// Checks JSON against a JSON Schema (draft-07) and fills in defaults.
//
// valijson judges; the faults that people make (wrong type, out of range, not among the choices,
// unknown key, missing key) are put into our own words.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/faults.h"

namespace dbsa {

// The compiled-in schemas/*.schema.json.
const nlohmann::json& pipeline_schema();
const nlohmann::json& plugin_manifest_schema();
const nlohmann::json& sweep_schema();

// All faults of `value`. Keywords put into words: type, enum, minimum, maximum, exclusiveMinimum,
// exclusiveMaximum, minLength, minItems, properties, required, additionalProperties (false
// or a schema), items (one schema); others are judged all the same.
Faults check_schema(const nlohmann::json& schema, const nlohmann::json& value);

// Adds absent keys that have a default, also in absent tables, and turns integers into floating
// point where the schema says "number". `value` must have passed check_schema.
void apply_defaults(const nlohmann::json& schema, nlohmann::json& value);

// A value for a message: `a string "x"`, `an integer 3`, `a table`.
std::string described(const nlohmann::json& value);
// A text in quotes, escaped, cut when long. Any bytes.
std::string in_quotes(std::string_view text);

}  // namespace dbsa
