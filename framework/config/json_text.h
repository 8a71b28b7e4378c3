// Parses JSON that others wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace dbsa {

// Objects and arrays within each other. Copying and printing a value recurse, so nesting is bounded
// where it comes in; nothing that is read here comes near.
inline constexpr int kMaxJsonDepth = 64;

struct JsonFault {
  enum class Kind {
    kSyntax,
    kTooDeep,     // more than kMaxJsonDepth levels
    kOutOfRange,  // a number that no double holds
  };
  Kind kind = Kind::kSyntax;
  size_t byte = 0;  // kSyntax: where the parser noticed, from 1
};

// The value, or what is wrong with the text. Of an outermost object the member with the key
// `dropped` is read but not kept. Neither time nor stack depends on the nesting.
std::optional<JsonFault> parse_json(std::string_view text, nlohmann::json& value,
                                    std::string_view dropped = {});
// The same, and keys keep their order.
std::optional<JsonFault> parse_json(std::string_view text, nlohmann::ordered_json& value);

}  // namespace dbsa
