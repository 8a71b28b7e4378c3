// The members of a JSON object as its text has them: a parser would round long numbers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

struct JsonMember {
  std::string key;         // unescaped
  std::string_view value;  // of the object's text, without white space around it
};

// In the order of the text; a key that stands there twice is there twice. object: sound JSON. Cost:
// O(bytes).
std::vector<JsonMember> json_members(std::string_view object);

}  // namespace dbsa
