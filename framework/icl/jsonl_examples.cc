#include "icl/jsonl_examples.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/json_text.h"
#include "icl/field_names.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using Json = nlohmann::json;

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

std::string not_a_string(const std::string& field, const Json& found) {
  return "expected a string in field " + quote_for_message(field) + ", found " +
         describe_json_type(found) +
         (found.is_null() ? "; fill it in or remove the record" : "; write it in quotes");
}

// The labels of a field that holds an array.
Status read_array(const Json& array, const RowFormat& format, Example& example) {
  const std::string expected = "expected strings in the array in field " +
                               quote_for_message(format.label_field) + ", found ";
  for (const Json& label : array) {
    const std::optional<std::string> text = label_text(label, format.names);
    if (!text)
      return data_fault(format.name, example.line,
                        expected + describe_json_type(label) +
                            (label.is_null() ? "; remove it" : "; write each label in quotes"));
    example.more_labels.push_back(*text);
  }
  if (array.empty())
    return data_fault(format.name, example.line,
                      expected + "none; fill one in or remove the record");
  example.label = std::move(example.more_labels.front());
  example.more_labels.erase(example.more_labels.begin());
  // An empty label means none, which the others would contradict.
  if (example.label.empty()) return check_label(example.label, example.line, format);
  return {};
}

// The values of the text's fields.
Result<std::vector<std::string>> read_values(const Json& object, const RowFormat& format,
                                             int64_t line) {
  std::vector<std::string> values;
  for (const TextFields::Part& part : format.text.parts()) {
    const Result<const Json*> text = find_field(object, part.field, false, format.text);
    if (!text.ok()) return data_fault(format.name, line, text.error().message);
    if (!(*text)->is_string())
      return data_fault(format.name, line, not_a_string(part.field, **text));
    values.push_back((*text)->get<std::string>());
  }
  return values;
}

Status read_labels(const Json& object, const RowFormat& format, Example& example) {
  const bool optional = format.policy == LabelPolicy::kOptional;
  const Result<const Json*> label = find_field(object, format.label_field, optional, format.text);
  if (!label.ok()) return data_fault(format.name, example.line, label.error().message);
  if (*label == nullptr || (optional && (*label)->is_null())) return {};
  if ((*label)->is_array()) return read_array(**label, format, example);
  const std::optional<std::string> text = label_text(**label, format.names);
  if (!text)
    return data_fault(format.name, example.line, not_a_string(format.label_field, **label));
  example.label = *text;
  return {};
}

// Text and labels of an object.
void read_fields(const Json& object, const RowFormat& format, Row& row) {
  const Result<std::vector<std::string>> values = read_values(object, format, row.example.line);
  if (values.ok())
    add_fault(ItemFault::kEmptyText, write_text(*values, format, row.example), row);
  else
    add_fault(ItemFault::kBadField, values.error(), row);
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
  const std::string repaired = row.error ? utf8::to_valid(text) : "";
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

// What other languages write and JSON does not have.
struct ForeignWord {
  std::string name, advice;
  size_t at = 0;
};

// The one that the parser stopped in or at.
std::optional<ForeignWord> foreign_word(std::string_view text, size_t stopped) {
  struct Word {
    std::string_view word;
    const char* advice;
  };
  static constexpr Word kWords[] = {
      {"NaN", "JSON has no such number: write null"},
      {"nan", "JSON has no such number: write null"},
      {"-Infinity", "JSON has no such number: write null"},
      {"Infinity", "JSON has no such number: write null"},
      {"None", "write null"},
      {"True", "write true"},
      {"False", "write false"},
  };
  for (const auto& [word, advice] : kWords)
    for (size_t at = stopped - std::min<size_t>(stopped, 2); at <= stopped; ++at)
      if (text.substr(at).starts_with(word) && at + word.size() > stopped)
        return ForeignWord{std::string(word), advice, at};
  if (text.substr(stopped).starts_with('\''))
    return ForeignWord{"a single quote", "write strings in double quotes", stopped};
  const size_t last = text.substr(0, stopped).find_last_not_of(" \t\r\n");
  const bool closes =
      text.substr(stopped).starts_with('}') || text.substr(stopped).starts_with(']');
  if (closes && last != text.npos && text[last] == ',')
    return ForeignWord{"a comma behind the last item", "remove it", last};
  return {};
}

std::string_view without_blanks(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Whether the text, whose first line is no JSON, is an object or array over several lines, or a
// first one of several: that line is only what opens it, and the next one is no object either.
bool spans_lines(std::string_view text, std::string_view first_line) {
  if (Json::accept(text)) return true;
  if (first_line != "[" && first_line != "{" && first_line != "[{") return false;
  const std::string_view rest = without_blanks(text.substr(first_line.size()));
  return !Json::accept(rest.substr(0, rest.find('\n')));
}

// Of a file whose first line is no JSON: one fault says what it is, not one for each line.
Status check_lines(std::string_view text, const RowFormat& format) {
  const std::string_view all = without_blanks(text);
  if (!all.starts_with('[') && !all.starts_with('{')) return {};
  const std::string_view first = without_blanks(all.substr(0, all.find('\n')));
  Json value;
  const std::optional<JsonFault> wrong = parse_json(first, value);
  if (!wrong || wrong->kind != JsonFault::Kind::kSyntax) return {};
  const std::string_view before = text.substr(0, text.find(all.front()));
  const int64_t line = 1 + std::count(before.begin(), before.end(), '\n');
  if (first.size() == all.size() && first.find("}\r") != first.npos) return cr_fault(format.name);
  if (!spans_lines(all, first)) return {};
  const bool array = all.starts_with('[');
  return data_fault(format.name, line,
                    std::string("expected a JSON object a line, found an ") +
                        (array ? "array" : "object") +
                        " over several lines; write one object a line, e.g. with `jq -c " +
                        (array ? "'.[]'`" : ".`"));
}

}  // namespace

Result<const Json*> find_field(const Json& object, const std::string& field, bool optional,
                               const TextFields& text) {
  const std::string wanted = field_key(field);
  const Json* found = nullptr;
  for (const auto& [key, value] : object.items()) {
    if (key != field && field_key(key) != wanted) continue;
    if (found != nullptr)
      return Error{ErrorCode::kConfig,
                   "expected one field " + quote_for_message(field) +
                       ", found several whose names look the same; rename the others",
                   ""};
    found = &value;
  }
  if (found != nullptr) return found;
  const std::vector<std::string> keys = keys_of(object);
  if (optional && nearly_named(wanted, keys).empty()) return found;
  return Error{ErrorCode::kConfig,
               "expected a field " + quote_for_message(field) + ", found " + quote_names(keys) +
                   name_advice(field, keys, "fields", text),
               ""};
}

std::optional<std::string> label_text(const Json& value, const LabelNames& names) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer() && !names.empty()) return value.dump();
  return std::nullopt;
}

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
  const auto byte = [&](size_t at) {
    return " at byte " + std::to_string(at - (read.rfind('\n') + 1) + 1) + " of the line";
  };
  if (const auto foreign = foreign_word(text, before))
    return data_fault(
        name, line + lines,
        "expected JSON, found " + foreign->name + byte(foreign->at) + "; " + foreign->advice);
  return data_fault(name, line + lines,
                    "expected JSON, found a fault" + byte(before) +
                        "; check quotes, commas and braces before it");
}

Result<std::vector<Row>> read_jsonl_rows(std::string_view text, const RowFormat& format) {
  std::vector<Row> rows;
  DBSA_RETURN_IF_ERROR(check_lines(text, format));
  size_t begin = 0;
  for (int64_t line = 1; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = text.substr(begin, end - begin);
    if (!is_blank(row)) {
      rows.push_back(read_row(row, line, format));
      rows.back().begin = begin;
      rows.back().bytes = row.size();
    }
    begin = end + 1;
  }
  return rows;
}

}  // namespace dbsa
