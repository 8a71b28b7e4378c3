// A line of `dbsa-pipe query`'s standard input: JSON with a text, and perhaps a label and an id.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "icl/dataset.h"

namespace dbsa::cli {

struct Query {
  Example example;
  nlohmann::json id;  // null where none is given
};

// kConfig, beginning with "standard input:<number>: ", for what is no query.
Result<Query> parse_query(std::string_view line, int64_t number, const std::string& text_field,
                          const std::string& label_field);

// "standard input:3: ..."
Error bad_line(int64_t number, const std::string& what);

}  // namespace dbsa::cli
