#include "icl/dataset.h"

#include <dbsa/sdk/random.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "config/json_text.h"
#include "config/read_file.h"
#include "icl/csv.h"
#include "icl/utf8.h"

namespace dbsa {
namespace {

using Json = nlohmann::json;

Error fault(const std::string& name, int64_t line, const std::string& what) {
  return Error{ErrorCode::kConfig, name + ":" + std::to_string(line) + ": " + what, ""};
}

// The whole file, without a BOM.
Result<std::string> read_bytes(const std::filesystem::path& path) {
  const std::string name = path.string();
  Result<FileText> file = read_file(name, kMaxDataBytes);
  if (!file.ok()) return Error{ErrorCode::kEnvironment, file.error().message, ""};
  std::string text = std::move(file->text);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

// first_line: that of the text's first byte.
Status check_utf8(std::string_view text, const std::string& name, int64_t first_line) {
  const auto bad = find_invalid_utf8(text);
  if (!bad) return {};
  const std::string_view before = text.substr(0, *bad);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 = 0
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02X", static_cast<unsigned char>(text[*bad]));
  return fault(name, first_line + lines,
               "expected UTF-8, found the byte " + std::string(hex) + " at byte " +
                   std::to_string(*bad - line_begin + 1) +
                   " of the line; convert the file to UTF-8");
}

bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_blank(std::string_view text) { return std::all_of(text.begin(), text.end(), is_white); }

Status check_label(const std::string& label, int64_t line, const std::string& name,
                   const std::string& label_field) {
  if (is_blank(label))
    return fault(name, line,
                 "expected a label in field " + quote_for_message(label_field) +
                     ", found an empty one; fill it in or remove the record");
  if (is_white(label.front()) || is_white(label.back()))
    return fault(name, line,
                 "expected a label without white space around it, found " +
                     quote_for_message(label) + "; remove the white space");
  return {};
}

Status check_text(const std::string& text, int64_t line, const std::string& name,
                  const std::string& text_field) {
  if (!is_blank(text)) return {};
  return fault(name, line,
               "expected a text in field " + quote_for_message(text_field) +
                   ", found an empty one; fill it in or remove the record");
}

Status check_labels(const Example& example, const std::string& name, const std::string& label_field,
                    LabelPolicy policy) {
  if (example.label.empty() && policy == LabelPolicy::kOptional) return {};
  DBSA_RETURN_IF_ERROR(check_label(example.label, example.line, name, label_field));
  for (const std::string& label : example.more_labels)
    DBSA_RETURN_IF_ERROR(check_label(label, example.line, name, label_field));
  return {};
}

// The first fault of a row is the one that is told.
void add_fault(ItemFault kind, const Status& status, Row& row) {
  if (!status.ok() && !row.error) row.error = ItemError{kind, status.error().message};
}

// What both formats ask of an example. A label that is none is dropped.
void check_row(const std::string& name, const std::string& text_field,
               const std::string& label_field, LabelPolicy policy, Row& row) {
  Example& example = row.example;
  if (!row.error)
    add_fault(ItemFault::kEmptyText, check_text(example.text, example.line, name, text_field), row);
  if (const Status labels = check_labels(example, name, label_field, policy); !labels.ok()) {
    add_fault(ItemFault::kBadLabel, labels, row);
    example.label.clear();
    example.more_labels.clear();
  }
}

// ---- jsonl ----

const char* describe_type(const Json& value) {
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

std::string field_names(const Json& object) {
  std::string names;
  for (const auto& [key, value] : object.items())
    names += (names.empty() ? "" : ", ") + quote_for_message(key);
  return names.empty() ? "none" : names;
}

Result<std::string> json_field(const Json& object, const std::string& field, bool optional,
                               const std::string& name, int64_t line) {
  const auto found = object.find(field);
  if (found == object.end()) {
    if (optional) return std::string();
    return fault(name, line,
                 "expected a field " + quote_for_message(field) + ", found " + field_names(object) +
                     "; name the fields in [data] text_field and label_field");
  }
  if (optional && found->is_null()) return std::string();
  if (!found->is_string())
    return fault(name, line,
                 "expected a string in field " + quote_for_message(field) + ", found " +
                     describe_type(*found) + "; write it in quotes");
  return found->get<std::string>();
}

// The labels of a field that holds an array.
Status read_labels(const Json& array, const std::string& field, const std::string& name,
                   Example& example) {
  const std::string expected =
      "expected strings in the array in field " + quote_for_message(field) + ", found ";
  for (const Json& label : array)
    if (!label.is_string())
      return fault(name, example.line,
                   expected + describe_type(label) + "; write each label in quotes");
  if (array.empty())
    return fault(name, example.line, expected + "none; fill one in or remove the record");
  example.more_labels = array.get<std::vector<std::string>>();
  example.label = std::move(example.more_labels.front());
  example.more_labels.erase(example.more_labels.begin());
  // An empty label means none, which the others would contradict.
  if (example.label.empty()) return check_label(example.label, example.line, name, field);
  return {};
}

Result<Json> parse_row(std::string_view text, const std::string& name, int64_t line) {
  Json value;
  const std::optional<JsonFault> wrong = parse_json(text, value);
  if (!wrong) return value;
  if (wrong->kind == JsonFault::Kind::kOutOfRange)
    return fault(name, line, "expected JSON, found a number that is out of range; correct it");
  if (wrong->kind == JsonFault::Kind::kTooDeep)
    return fault(name, line,
                 "expected JSON nested at most " + std::to_string(kMaxJsonDepth) +
                     " levels deep, found deeper values; leave them out");
  const size_t before = std::min(wrong->byte == 0 ? 0 : wrong->byte - 1, text.size());
  const std::string_view read = text.substr(0, before);
  const auto lines = std::count(read.begin(), read.end(), '\n');
  return fault(name, line + lines,
               "expected JSON, found a fault at byte " +
                   std::to_string(before - (read.rfind('\n') + 1) + 1) +
                   " of the line; check quotes, commas and braces before it");
}

// Text and labels of an object.
void read_fields(const Json& object, const std::string& name, const std::string& text_field,
                 const std::string& label_field, LabelPolicy policy, Row& row) {
  Example& example = row.example;
  const int64_t line = example.line;
  if (Result<std::string> text = json_field(object, text_field, false, name, line); text.ok())
    example.text = std::move(text).value();
  else
    add_fault(ItemFault::kBadField, text.error(), row);
  Status labels;
  if (const auto label = object.find(label_field); label != object.end() && label->is_array()) {
    labels = read_labels(*label, label_field, name, example);
  } else {
    Result<std::string> one =
        json_field(object, label_field, policy == LabelPolicy::kOptional, name, line);
    if (one.ok())
      example.label = std::move(one).value();
    else
      labels = std::move(one).error();
  }
  if (!labels.ok()) {
    add_fault(ItemFault::kBadLabel, labels, row);
    example.label.clear();
    example.more_labels.clear();
  }
  check_row(name, text_field, label_field, policy, row);
}

Row read_json_row(std::string_view text, int64_t line, const std::string& name,
                  const std::string& text_field, const std::string& label_field,
                  LabelPolicy policy) {
  Row row;
  row.example.line = line;
  if (text.size() > kMaxRecordBytes) {
    add_fault(ItemFault::kMalformed,
              fault(name, line,
                    "expected a line of at most " + std::to_string(kMaxRecordBytes) +
                        " bytes, found one of " + std::to_string(text.size()) +
                        "; write one object a line"),
              row);
    return row;
  }
  // A label beside a text that is not UTF-8 is still the right answer to it.
  add_fault(ItemFault::kNotUtf8, check_utf8(text, name, line), row);
  const std::string repaired = row.error ? replace_invalid_utf8(text) : "";
  const Result<Json> object = parse_row(row.error ? std::string_view(repaired) : text, name, line);
  if (!object.ok())
    add_fault(ItemFault::kMalformed, object.error(), row);
  else if (!object->is_object())
    add_fault(ItemFault::kMalformed,
              fault(name, line,
                    std::string("expected a JSON object, found ") + describe_type(*object) +
                        "; write one object a line"),
              row);
  else
    read_fields(*object, name, text_field, label_field, policy, row);
  return row;
}

std::vector<Row> read_jsonl(std::string_view text, const std::string& name,
                            const std::string& text_field, const std::string& label_field,
                            LabelPolicy policy) {
  std::vector<Row> rows;
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!is_blank(row))
      rows.push_back(read_json_row(row, line, name, text_field, label_field, policy));
  }
  return rows;
}

// ---- csv ----

// The column of a field, or -1 where it is absent and may be.
Result<int64_t> find_column(const std::vector<std::string>& header, const std::string& field,
                            bool optional, const std::string& name, int64_t line) {
  const auto found = std::find(header.begin(), header.end(), field);
  if (found == header.end()) {
    if (optional) return int64_t{-1};
    std::string names;
    for (const auto& column : header)
      names += (names.empty() ? "" : ", ") + quote_for_message(column);
    // As spreadsheets write it in some countries, or for a name that should end in .tsv.
    const bool other_separator =
        header.size() == 1 && header.front().find_first_of(";\t") != std::string::npos;
    return fault(name, line,
                 "expected a column " + quote_for_message(field) + ", found " + names +
                     (other_separator ? "; separate fields by commas"
                                      : "; name the columns in [data] text_field and label_field"));
  }
  if (std::find(found + 1, header.end(), field) != header.end())
    return fault(
        name, line,
        "expected one column " + quote_for_message(field) + ", found several; rename the others");
  return static_cast<int64_t>(found - header.begin());
}

Row read_csv_row(const CsvReader& reader, std::vector<std::string>& fields, size_t columns,
                 int64_t text_column, int64_t label_column, const std::string& name) {
  Row row;
  row.example.line = reader.line();
  add_fault(ItemFault::kNotUtf8, check_utf8(reader.record(), name, reader.line()), row);
  if (fields.size() != columns) {
    add_fault(ItemFault::kMalformed,
              fault(name, reader.line(),
                    "expected " + std::to_string(columns) + " fields as in the header, found " +
                        std::to_string(fields.size()) + "; put fields with commas in quotes"),
              row);
    return row;
  }
  if (row.error)
    for (std::string& field : fields) field = replace_invalid_utf8(field);
  row.example.text = std::move(fields[static_cast<size_t>(text_column)]);
  if (label_column == text_column)
    row.example.label = row.example.text;
  else if (label_column >= 0)
    row.example.label = std::move(fields[static_cast<size_t>(label_column)]);
  return row;
}

Result<std::vector<Row>> read_csv(std::string_view text, const std::string& name,
                                  const std::string& text_field, const std::string& label_field,
                                  LabelPolicy policy) {
  CsvReader reader(text, name);
  std::vector<std::string> fields;
  DBSA_ASSIGN_OR_RETURN(const bool any, reader.next(fields));
  std::vector<Row> rows;
  if (!any) return rows;
  DBSA_RETURN_IF_ERROR(check_utf8(reader.record(), name, reader.line()));
  const std::vector<std::string> header = fields;
  DBSA_ASSIGN_OR_RETURN(const int64_t text_column,
                        find_column(header, text_field, false, name, reader.line()));
  DBSA_ASSIGN_OR_RETURN(
      const int64_t label_column,
      find_column(header, label_field, policy == LabelPolicy::kOptional, name, reader.line()));
  while (true) {
    const Result<bool> more = reader.next(fields);
    if (more.ok() && !*more) return rows;
    Row row;
    if (more.ok()) {
      row = read_csv_row(reader, fields, header.size(), text_column, label_column, name);
    } else {
      row.example.line = reader.line();
      add_fault(ItemFault::kMalformed, more.error(), row);
      reader.skip_line();
    }
    if (!row.error || row.error->fault != ItemFault::kMalformed)
      check_row(name, text_field, label_field, policy, row);
    rows.push_back(std::move(row));
  }
}

}  // namespace

std::string quote_for_message(std::string_view text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    // Cut between characters, not inside one.
    if (quoted.size() > 60 && (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80)
      return quoted + "...\"";
    const char c = text[i];
    if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04X", static_cast<unsigned>(c));
      quoted += hex;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

Result<std::vector<Row>> load_rows(const std::filesystem::path& path, const std::string& text_field,
                                   const std::string& label_field, LabelPolicy policy) {
  const std::string name = path.string();
  const std::string extension = path.extension().string();
  if (extension != ".jsonl" && extension != ".csv")
    return Error{ErrorCode::kConfig,
                 name + ": expected a name that ends in .jsonl or .csv, found " +
                     quote_for_message(extension) + "; convert or rename the file",
                 ""};
  DBSA_ASSIGN_OR_RETURN(const std::string text, read_bytes(path));
  std::vector<Row> rows;
  if (extension == ".csv") {
    DBSA_ASSIGN_OR_RETURN(rows, read_csv(text, name, text_field, label_field, policy));
  } else {
    rows = read_jsonl(text, name, text_field, label_field, policy);
  }
  if (rows.empty())
    return Error{ErrorCode::kConfig,
                 name +
                     ": expected at least one example, found none; add examples or name another "
                     "file",
                 ""};
  return rows;
}

Result<std::vector<Example>> load_dataset(const std::filesystem::path& path,
                                          const std::string& text_field,
                                          const std::string& label_field, LabelPolicy policy) {
  DBSA_ASSIGN_OR_RETURN(std::vector<Row> rows, load_rows(path, text_field, label_field, policy));
  std::string faults = describe_faults(rows, path.string());
  if (!faults.empty()) return Error{ErrorCode::kConfig, std::move(faults), ""};
  std::vector<Example> examples;
  examples.reserve(rows.size());
  for (Row& row : rows) examples.push_back(std::move(row.example));
  return examples;
}

std::string describe_faults(std::span<const Row> rows, const std::string& name) {
  std::string text;
  size_t count = 0;
  for (const Row& row : rows) {
    if (!row.error || ++count > kMaxToldFaults) continue;
    text += (text.empty() ? "" : "\n") + row.error->message;
  }
  if (count > kMaxToldFaults)
    text += "\n" + name + ": and " + std::to_string(count - kMaxToldFaults) +
            (count == kMaxToldFaults + 1 ? " more fault" : " more faults");
  return text;
}

bool is_right(const Example& example, std::string_view answer) {
  if (example.label.empty()) return false;
  return example.label == answer ||
         std::find(example.more_labels.begin(), example.more_labels.end(), answer) !=
             example.more_labels.end();
}

std::vector<std::string> all_labels(const Example& example) {
  std::vector<std::string> labels;
  if (!example.label.empty()) labels.push_back(example.label);
  labels.insert(labels.end(), example.more_labels.begin(), example.more_labels.end());
  return labels;
}

Result<std::vector<int64_t>> load_indices(const std::filesystem::path& path, int64_t count) {
  const std::string name = path.string();
  DBSA_ASSIGN_OR_RETURN(const std::string text, read_bytes(path));
  DBSA_RETURN_IF_ERROR(check_utf8(text, name, 1));
  DBSA_ASSIGN_OR_RETURN(const Json document, parse_row(text, name, 1));
  const Json* list = &document;
  if (document.is_object() && document.contains("lines")) list = &document["lines"];
  if (!list->is_array() || list->empty())
    return Error{ErrorCode::kConfig,
                 name +
                     ": expected an array of indices, or an object with one under \"lines\", "
                     "found " +
                     (list->is_array() ? "an empty array" : describe_type(*list)) +
                     "; write e.g. [0, 5, 7]",
                 ""};
  std::vector<int64_t> indices;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& value = (*list)[i];
    // A number above int64's largest is unsigned here, and out of range anyway.
    const bool fits = value.is_number_integer() &&
                      (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
    if (!fits || value.get<int64_t>() < 0 || value.get<int64_t>() >= count)
      return Error{ErrorCode::kConfig,
                   name + ": entry " + std::to_string(i) + ": expected an integer from 0 to " +
                       std::to_string(count - 1) + ", found " + value.dump() +
                       "; indices count the queries from 0",
                   ""};
    indices.push_back(value.get<int64_t>());
  }
  return indices;
}

std::vector<Example> pick(std::span<const Example> examples, std::span<const int64_t> indices) {
  std::vector<Example> picked;
  picked.reserve(indices.size());
  for (const int64_t index : indices) picked.push_back(examples[index]);
  return picked;
}

std::vector<int64_t> draw_indices(int64_t available, int64_t count, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(available));
  std::iota(order.begin(), order.end(), int64_t{0});
  Random(seed).shuffle(std::span(order));
  order.resize(static_cast<size_t>(std::min(available, count)));
  std::sort(order.begin(), order.end());
  return order;
}

Result<std::vector<Example>> draw(std::span<const Example> examples, int64_t count, uint64_t seed) {
  const int64_t available = static_cast<int64_t>(examples.size());
  if (count == 0) return std::vector<Example>(examples.begin(), examples.end());
  if (count < 0 || count > available)
    return Error{ErrorCode::kConfig,
                 "data.demonstration_count: expected at most " + std::to_string(available) +
                     ", the number of demonstrations in the file, found " + std::to_string(count) +
                     "; lower it, or write 0 for all",
                 "/data/demonstration_count"};
  return pick(examples, draw_indices(available, count, seed));
}

std::vector<std::string> label_table(std::span<const Example> demonstrations) {
  std::vector<std::string> labels;
  for (const Example& example : demonstrations) labels.push_back(example.label);
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

}  // namespace dbsa
