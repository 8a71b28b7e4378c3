// Examples from JSON Lines: one object a line.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"
#include "icl/example_check.h"

namespace dbsa {

// See load_rows. Labels come as they are written. kConfig for a file that as a whole is written in
// another way: JSON over several lines, or lines that end in CR only.
Result<std::vector<Row>> read_jsonl_rows(std::string_view text, const RowFormat& format);

// One JSON value. kConfig "NAME:LINE: ..." for what is none; line: that of the text's first byte.
Result<nlohmann::json> parse_data_json(std::string_view text, const std::string& name,
                                       int64_t line);

// The member of an object that has the name, as field_key compares names; null where none has and
// `optional` is true. kConfig "expected a field ...", without a place, where none has otherwise,
// one is nearly named so, or several have it. text: for the advice, where fields are named.
Result<const nlohmann::json*> find_field(const nlohmann::json& object, const std::string& field,
                                         bool optional, const TextFields& text);

// A label: a string, or an integer where labels are codes; nothing for other values.
std::optional<std::string> label_text(const nlohmann::json& value, const LabelNames& names);

// "an object", "null", ...
const char* describe_json_type(const nlohmann::json& value);

}  // namespace dbsa
