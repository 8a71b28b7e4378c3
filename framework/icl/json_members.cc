#include "icl/json_members.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dbsa {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

// Behind the string that begins at `at`.
size_t string_end(std::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(at + 1, text.size());
}

// Behind the value that begins at `at`: at the comma or brace that follows.
size_t value_end(std::string_view text, size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = string_end(text, at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    depth += c == '{' || c == '[' ? 1 : 0;
    depth -= c == '}' || c == ']' ? 1 : 0;
    ++at;
  }
  return at;
}

}  // namespace

std::vector<JsonMember> json_members(std::string_view object) {
  std::vector<JsonMember> members;
  for (size_t at = object.find('"'); at < object.size(); at = object.find('"', at)) {
    const size_t key_end = string_end(object, at);
    const auto key = nlohmann::json::parse(object.substr(at, key_end - at), nullptr, false);
    const size_t colon = object.find(':', key_end);
    const size_t begin = std::min(
        object.find_first_not_of(kSpaces, std::min(colon, object.size() - 1) + 1), object.size());
    at = value_end(object, begin);
    const std::string_view value = object.substr(begin, at - begin);
    members.push_back({key.is_string() ? key.get<std::string>() : "",
                       value.substr(0, value.find_last_not_of(kSpaces) + 1)});
  }
  return members;
}

}  // namespace dbsa
