// A line of `dbsa-pipe query`'s standard input: JSON with a text, and perhaps a label and an id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "icl/dataset.h"

namespace dbsa::cli {

struct Query {
  Example example;                      // with an error: what could be read; the line always
  std::string id = {};                  // as the line has it, JSON; "" where none is given
  std::optional<ItemError> error = {};  // the message begins with "standard input:<line>: "
};

Query parse_query(std::string_view line, int64_t number, const TextFields& text,
                  const std::string& label_field, const LabelNames& names = {});
// A line that is a text, as people type it; the object with its fields, where a text has several.
Query typed_query(std::string_view line, int64_t number, const TextFields& text);

// The text that an option or an argument gives: as it is, or a JSON object with the fields of the
// text, where it has several. kConfig for an object that lacks one, or whose fields are all blank.
// given: UTF-8, not blank. option: "--query", for messages.
Result<std::string> given_text(const std::string& option, const std::string& given,
                               const TextFields& text);

// "standard input:3: ..."
ItemError bad_line(ItemFault fault, int64_t number, const std::string& what);

}  // namespace dbsa::cli
