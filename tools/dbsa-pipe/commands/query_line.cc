#include "commands/query_line.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "config/json_text.h"
#include "config/schema_check.h"
#include "icl/example_check.h"
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
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02X", static_cast<unsigned char>(line[*bad]));
  return bad_line(ItemFault::kNotUtf8, number,
                  "expected UTF-8, found the byte " + std::string(hex) + " at byte " +
                      std::to_string(*bad + 1) + " of the line");
}

std::optional<ItemError> read_text(const nlohmann::json& object, const std::string& field,
                                   Example& example) {
  const Result<const nlohmann::json*> text = find_field(object, field, false);
  if (!text.ok()) return bad_line(ItemFault::kBadField, example.line, text.error().message);
  const bool is_text = (*text)->is_string();
  if (is_text) example.text = (*text)->get<std::string>();
  if (!is_blank(example.text)) return {};
  return bad_line(
      is_text ? ItemFault::kEmptyText : ItemFault::kBadField, example.line,
      in_quotes(field) + ": expected a string that is not empty, found " + described(**text));
}

// By the rules for files of queries.
std::optional<ItemError> read_labels(const nlohmann::json& object, const std::string& field,
                                     Example& example) {
  const Result<const nlohmann::json*> found = find_field(object, field, true);
  if (!found.ok()) return bad_line(ItemFault::kBadLabel, example.line, found.error().message);
  const nlohmann::json* label = *found;
  if (label == nullptr || label->is_null()) return {};
  const bool several = label->is_array();
  const nlohmann::json labels = several ? *label : nlohmann::json::array({*label});
  for (const nlohmann::json& one : labels)
    if (!one.is_string())
      return bad_line(ItemFault::kBadLabel, example.line,
                      in_quotes(field) + ": expected a string" + (several ? " in the array" : "") +
                          ", found " + described(one));
  const RowFormat format = {kInput, "", field, LabelPolicy::kOptional};
  for (const nlohmann::json& one : labels) {
    const std::string text = one.get<std::string>();
    if (text.empty() && !several) return {};
    if (const Status sound = check_label(text, example.line, format); !sound.ok())
      return ItemError{ItemFault::kBadLabel, sound.error().message};
    (&one == &labels.front() ? example.label : example.more_labels.emplace_back()) = text;
  }
  return {};
}

}  // namespace

ItemError bad_line(ItemFault fault, int64_t number, const std::string& what) {
  return {fault, std::string(kInput) + ":" + std::to_string(number) + ": " + what};
}

Query parse_query(std::string_view line, int64_t number, const std::string& text_field,
                  const std::string& label_field) {
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
    fail(read_text(value, text_field, query.example));
    fail(read_labels(value, label_field, query.example));
  }
  return query;
}

Query typed_query(std::string_view line, int64_t number) {
  Query query = {{std::string(line), "", number}};
  query.error = utf8_error(line, number);
  return query;
}

}  // namespace dbsa::cli
