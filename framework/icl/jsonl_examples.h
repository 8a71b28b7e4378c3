// Examples from JSON Lines: one object a line.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"
#include "icl/example_check.h"

namespace dbsa {

// See load_rows. Labels come as they are written.
std::vector<Row> read_jsonl_rows(std::string_view text, const RowFormat& format);

// One JSON value. kConfig "NAME:LINE: ..." for what is none; line: that of the text's first byte.
Result<nlohmann::json> parse_data_json(std::string_view text, const std::string& name,
                                       int64_t line);

// "an object", "null", ...
const char* describe_json_type(const nlohmann::json& value);

}  // namespace dbsa
