#include "icl/jsonl_examples.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/json_text.h"
#include "icl/field_names.h"
#include "icl/utf8.h"

namespace dbsa {
namespace {

using Json = nlohmann::json;

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

Result<std::string> json_field(const Json& object, const std::string& field, bool optional,
                               const std::string& name, int64_t line) {
  const auto found = object.find(field);
  if (found == object.end()) {
    const std::vector<std::string> keys = keys_of(object);
    if (optional && nearly_named(field, keys).empty()) return std::string();
    return data_fault(name, line,
                      "expected a field " + quote_for_message(field) + ", found " +
                          quote_names(keys) + name_advice(field, keys, "fields"));
  }
  if (optional && found->is_null()) return std::string();
  if (!found->is_string())
    return data_fault(name, line,
                      "expected a string in field " + quote_for_message(field) + ", found " +
                          describe_json_type(*found) + "; write it in quotes");
  return found->get<std::string>();
}

// The labels of a field that holds an array.
Status read_array(const Json& array, const RowFormat& format, Example& example) {
  const std::string expected = "expected strings in the array in field " +
                               quote_for_message(format.label_field) + ", found ";
  for (const Json& label : array)
    if (!label.is_string())
      return data_fault(format.name, example.line,
                        expected + describe_json_type(label) + "; write each label in quotes");
  if (array.empty())
    return data_fault(format.name, example.line,
                      expected + "none; fill one in or remove the record");
  example.more_labels = array.get<std::vector<std::string>>();
  example.label = std::move(example.more_labels.front());
  example.more_labels.erase(example.more_labels.begin());
  // An empty label means none, which the others would contradict.
  if (example.label.empty()) return check_label(example.label, example.line, format);
  return {};
}

Status read_labels(const Json& object, const RowFormat& format, Example& example) {
  const auto label = object.find(format.label_field);
  if (label != object.end() && label->is_array()) return read_array(*label, format, example);
  DBSA_ASSIGN_OR_RETURN(
      example.label, json_field(object, format.label_field, format.policy == LabelPolicy::kOptional,
                                format.name, example.line));
  return {};
}

// Text and labels of an object.
void read_fields(const Json& object, const RowFormat& format, Row& row) {
  Result<std::string> text =
      json_field(object, format.text_field, false, format.name, row.example.line);
  if (text.ok())
    row.example.text = std::move(text).value();
  else
    add_fault(ItemFault::kBadField, text.error(), row);
  if (const Status labels = read_labels(object, format, row.example); !labels.ok())
    drop_labels(labels, row);
  check_row(format, row);
}

Row read_row(std::string_view text, int64_t line, const RowFormat& format) {
  Row row;
  row.example.line = line;
  const auto malformed = [&](const std::string& what) {
    add_fault(ItemFault::kMalformed, data_fault(format.name, line, what), row);
  };
  if (text.size() > kMaxRecordBytes) {
    malformed("expected a line of at most " + std::to_string(kMaxRecordBytes) +
              " bytes, found one of " + std::to_string(text.size()) + "; write one object a line");
    return row;
  }
  // A label beside a text that is not UTF-8 is still the right answer to it.
  add_fault(ItemFault::kNotUtf8, check_utf8(text, format.name, line), row);
  const std::string repaired = row.error ? replace_invalid_utf8(text) : "";
  const Result<Json> object =
      parse_data_json(row.error ? std::string_view(repaired) : text, format.name, line);
  if (!object.ok())
    add_fault(ItemFault::kMalformed, object.error(), row);
  else if (!object->is_object())
    malformed(std::string("expected a JSON object, found ") + describe_json_type(*object) +
              "; write one object a line");
  else
    read_fields(*object, format, row);
  return row;
}

}  // namespace

const char* describe_json_type(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

Result<Json> parse_data_json(std::string_view text, const std::string& name, int64_t line) {
  Json value;
  const std::optional<JsonFault> wrong = parse_json(text, value);
  if (!wrong) return value;
  if (wrong->kind == JsonFault::Kind::kOutOfRange)
    return data_fault(name, line, "expected JSON, found a number that is out of range; correct it");
  if (wrong->kind == JsonFault::Kind::kTooDeep)
    return data_fault(name, line,
                      "expected JSON nested at most " + std::to_string(kMaxJsonDepth) +
                          " levels deep, found deeper values; leave them out");
  const size_t before = std::min(wrong->byte == 0 ? 0 : wrong->byte - 1, text.size());
  const std::string_view read = text.substr(0, before);
  const auto lines = std::count(read.begin(), read.end(), '\n');
  return data_fault(name, line + lines,
                    "expected JSON, found a fault at byte " +
                        std::to_string(before - (read.rfind('\n') + 1) + 1) +
                        " of the line; check quotes, commas and braces before it");
}

std::vector<Row> read_jsonl_rows(std::string_view text, const RowFormat& format) {
  std::vector<Row> rows;
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!is_blank(row)) rows.push_back(read_row(row, line, format));
  }
  return rows;
}

}  // namespace dbsa
