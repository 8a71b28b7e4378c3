#include "query_line.h"

#include <optional>

#include "config/json_text.h"
#include "config/schema_check.h"

namespace dbsa::cli {

Error bad_line(int64_t number, const std::string& what) {
  return Error{ErrorCode::kConfig, "standard input:" + std::to_string(number) + ": " + what, ""};
}

Result<Query> parse_query(std::string_view line, int64_t number, const std::string& text_field,
                          const std::string& label_field) {
  nlohmann::json value;
  const std::optional<JsonFault> fault = parse_json(line, value);
  if (fault && fault->kind == JsonFault::Kind::kTooDeep)
    return bad_line(number, "JSON nested deeper than " + std::to_string(kMaxJsonDepth) +
                                " levels; expected an object with a text");
  if (fault) return bad_line(number, "not JSON; expected one object a line");
  if (!value.is_object()) return bad_line(number, "expected an object, found " + described(value));
  const auto text = value.find(text_field);
  if (text == value.end()) return bad_line(number, "the object has no " + in_quotes(text_field));
  if (!text->is_string() || text->get_ref<const std::string&>().empty())
    return bad_line(number, in_quotes(text_field) + ": expected a string that is not empty, " +
                                "found " + described(*text));
  Query query = {{text->get<std::string>(), ""}, value.value("id", nlohmann::json())};
  const auto label = value.find(label_field);
  if (label == value.end() || label->is_null()) return query;
  const nlohmann::json labels = label->is_array() ? *label : nlohmann::json::array({*label});
  for (const nlohmann::json& one : labels) {
    if (!one.is_string())
      return bad_line(number, in_quotes(label_field) + ": expected a string" +
                                  (label->is_array() ? " in the array" : "") + ", found " +
                                  described(one));
    std::string& place =
        &one == &labels.front() ? query.example.label : query.example.more_labels.emplace_back();
    place = one.get<std::string>();
  }
  return query;
}

}  // namespace dbsa::cli
