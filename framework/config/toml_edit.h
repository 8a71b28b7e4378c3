// Changes keys of a TOML file in its text, so that its comments and its order stay.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

struct TomlEdit {
  std::string key;                      // "selection.ratio": bare names, joined by dots
  std::optional<nlohmann::json> value;  // no table; none: the key is commented out
  std::vector<std::string> comments;    // lines above it, without "# "
};

// The text with the edits, in their order: values are replaced where they stand, new keys go below
// their table's header, or with a new header to the end. Nothing where the file is written in a way
// that this cannot follow (a table in braces, text of several lines, ...): the result is read
// again, and must hold exactly the file's values with the edits. text: TOML that TomlDocument
// accepts.
std::optional<std::string> edit_toml(std::string_view text, std::span<const TomlEdit> edits);

}  // namespace dbsa
