#include "commands/query_line.h"

#include <nlohmann/json.hpp>

#include "config/json_text.h"
#include "config/schema_check.h"
#include "icl/example_check.h"
#include "icl/field_names.h"
#include "icl/json_members.h"
#include "icl/jsonl_examples.h"
#include "text/utf8.h"

namespace dbsa::cli {
namespace {

constexpr const char* kInput = "standard input";

// The value under "id" in an object, as it is written there. The last of several, as for the
// parser. object: sound JSON.
std::string raw_id(std::string_view object) {
  std::string_view id;
  for (const JsonMember& member : json_members(object))
    if (member.key == "id") id = member.value;
  return id == "null" ? "" : std::string(id);
}

std::optional<ItemError> utf8_error(std::string_view line, int64_t number) {
  const std::optional<size_t> bad = utf8::find_invalid(line);
  if (!bad) return {};
  return bad_line(ItemFault::kNotUtf8, number, not_utf8(line, *bad));
}

// The text of an object's fields; a fault without its place.
std::optional<ItemError> read_text(const nlohmann::json& object, const TextFields& fields,
                                   std::string& written) {
  std::vector<std::string> values;
  bool any = false;
  for (const TextFields::Part& part : fields.parts()) {
    const Result<const nlohmann::json*> text = find_field(object, part.field, false, fields);
    if (!text.ok()) return ItemError{ItemFault::kBadField, text.error().message};
    const bool is_text = (*text)->is_string();
    values.push_back(is_text ? (*text)->get<std::string>() : "");
    if (!is_text || (fields.is_single() && is_blank(values.back())))
      return ItemError{is_text ? ItemFault::kEmptyText : ItemFault::kBadField,
                       in_quotes(part.field) + ": expected a string" +
                           (fields.is_single() ? " that is not empty" : "") + ", found " +
                           described(**text)};
    any = any || !is_blank(values.back());
  }
  written = fields.write(values);
  if (any) return {};
  return ItemError{ItemFault::kEmptyText, "expected a text in one of the fields " +
                                              quote_names(fields.names()) +
                                              ", found all of them empty"};
}

// {"premise": "...", "claim": "..."}
std::string object_of(const TextFields& fields) {
  std::string object;
  for (const std::string& name : fields.names())
    object += (object.empty() ? "{" : ", ") + nlohmann::json(name).dump() + ": \"...\"";
  return object + "}";
}

// By the rules for files of queries.
std::optional<ItemError> read_labels(const nlohmann::json& object, const TextFields& fields,
                                     const std::string& field, const LabelNames& names,
                                     Example& example) {
  const Result<const nlohmann::json*> found = find_field(object, field, true, fields);
  if (!found.ok()) return bad_line(ItemFault::kBadLabel, example.line, found.error().message);
  const nlohmann::json* label = *found;
  if (label == nullptr || label->is_null()) return {};
  const bool several = label->is_array();
  const nlohmann::json labels = several ? *label : nlohmann::json::array({*label});
  for (const nlohmann::json& one : labels)
    if (!label_text(one, names))
      return bad_line(ItemFault::kBadLabel, example.line,
                      in_quotes(field) + ": expected a string" + (several ? " in the array" : "") +
                          ", found " + described(one));
  const RowFormat format = {kInput, "", field, LabelPolicy::kOptional};
  for (const nlohmann::json& one : labels) {
    std::string text = *label_text(one, names);
    if (text.empty() && !several) return {};
    if (const Status sound = check_label(text, example.line, format); !sound.ok())
      return ItemError{ItemFault::kBadLabel, sound.error().message};
    if (const Status named = names.translate(text); !named.ok())
      return bad_line(ItemFault::kBadLabel, example.line, named.error().message);
    (&one == &labels.front() ? example.label : example.more_labels.emplace_back()) = text;
  }
  return {};
}

}  // namespace

ItemError bad_line(ItemFault fault, int64_t number, const std::string& what) {
  return {fault, std::string(kInput) + ":" + std::to_string(number) + ": " + what};
}

Query parse_query(std::string_view line, int64_t number, const TextFields& text,
                  const std::string& label_field, const LabelNames& names) {
  Query query;
  query.example.line = number;
  query.error = utf8_error(line, number);
  const auto fail = [&](std::optional<ItemError> error) {
    if (!query.error) query.error = std::move(error);
  };
  const std::string repaired = query.error ? utf8::to_valid(line) : "";
  if (query.error) line = repaired;
  nlohmann::json value;
  const std::optional<JsonFault> wrong = parse_json(line, value);
  if (wrong && wrong->kind == JsonFault::Kind::kTooDeep) {
    fail(bad_line(ItemFault::kMalformed, number,
                  "JSON nested deeper than " + std::to_string(kMaxJsonDepth) +
                      " levels; expected an object with a text"));
  } else if (wrong) {
    fail(bad_line(ItemFault::kMalformed, number, "not JSON; expected one object a line"));
  } else if (!value.is_object()) {
    fail(bad_line(ItemFault::kMalformed, number, "expected an object, found " + described(value)));
  } else {
    if (value.contains("id")) query.id = raw_id(line);
    if (const auto error = read_text(value, text, query.example.text))
      fail(bad_line(error->fault, number, error->message));
    fail(read_labels(value, text, label_field, names, query.example));
  }
  return query;
}

Query typed_query(std::string_view line, int64_t number, const TextFields& text) {
  Query query = {{std::string(line), "", number}};
  query.error = utf8_error(line, number);
  if (query.error || text.is_single()) return query;
  const Result<std::string> written =
      given_text(std::string(kInput) + ":" + std::to_string(number), query.example.text, text);
  if (written.ok())
    query.example.text = *written;
  else
    query.error = ItemError{ItemFault::kBadField, written.error().message};
  return query;
}

Result<std::string> given_text(const std::string& option, const std::string& given,
                               const TextFields& text) {
  if (text.is_single()) return given;
  nlohmann::json object;
  if (parse_json(given, object) || !object.is_object())
    return Error{
        ErrorCode::kConfig,
        option +
            ": prompt.demonstration makes a text of several fields; expected a JSON object "
            "with them, found " +
            quote_for_message(given) + "; write '" + object_of(text) + "'",
        ""};
  std::string written;
  if (const auto error = read_text(object, text, written))
    return Error{ErrorCode::kConfig, option + ": " + error->message, ""};
  return written;
}

}  // namespace dbsa::cli
