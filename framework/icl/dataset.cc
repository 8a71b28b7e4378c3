#include "icl/dataset.h"

#include <dbsa/sdk/random.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "config/json_text.h"
#include "config/read_file.h"
#include "icl/csv_examples.h"
#include "icl/example_check.h"
#include "icl/field_names.h"
#include "icl/nfc.h"
#include "icl/utf8.h"

namespace dbsa {
namespace {

using Json = nlohmann::json;

// The whole file, without a BOM, checked to be UTF-8.
Result<std::string> read_text(const std::filesystem::path& path) {
  const std::string name = path.string();
  Result<FileText> file = read_file(name, kMaxDataBytes);
  if (!file.ok()) return Error{ErrorCode::kEnvironment, file.error().message, ""};
  std::string text = std::move(file->text);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (const auto bad = find_invalid_utf8(text)) {
    // What spreadsheets call Unicode text.
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
      return data_fault(name, 1, "expected UTF-8, found UTF-16; convert the file to UTF-8");
    const std::string_view before = std::string_view(text).substr(0, *bad);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 = 0
    char hex[8];
    std::snprintf(hex, sizeof hex, "0x%02X", static_cast<unsigned char>(text[*bad]));
    return data_fault(name, lines + 1,
                      "expected UTF-8, found the byte " + std::string(hex) + " at byte " +
                          std::to_string(*bad - line_begin + 1) +
                          " of the line; convert the file to UTF-8");
  }
  return text;
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
      return data_fault(name, example.line,
                        expected + describe_type(label) + "; write each label in quotes");
  if (array.empty())
    return data_fault(name, example.line, expected + "none; fill one in or remove the record");
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

Result<std::vector<Example>> read_jsonl(std::string_view text, const std::string& name,
                                        const std::string& text_field,
                                        const std::string& label_field, LabelPolicy policy) {
  std::vector<Example> examples;
  int64_t line = 0;
  while (!text.empty()) {
    ++line;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (is_blank(row)) continue;
    if (row.size() > kMaxRecordBytes)
      return data_fault(name, line,
                        "expected a line of at most " + std::to_string(kMaxRecordBytes) +
                            " bytes, found one of " + std::to_string(row.size()) +
                            "; write one object a line");
    DBSA_ASSIGN_OR_RETURN(const Json object, parse_row(row, name, line));
    if (!object.is_object())
      return data_fault(name, line,
                        std::string("expected a JSON object, found ") + describe_type(object) +
                            "; write one object a line");
    Example example;
    example.line = line;
    DBSA_ASSIGN_OR_RETURN(example.text, json_field(object, text_field, false, name, line));
    if (const auto label = object.find(label_field); label != object.end() && label->is_array()) {
      DBSA_RETURN_IF_ERROR(read_labels(*label, label_field, name, example));
    } else {
      DBSA_ASSIGN_OR_RETURN(
          example.label,
          json_field(object, label_field, policy == LabelPolicy::kOptional, name, line));
    }
    DBSA_RETURN_IF_ERROR(check_example(example, name, text_field, label_field, policy));
    examples.push_back(std::move(example));
  }
  return examples;
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

Result<std::vector<Example>> load_dataset(const std::filesystem::path& path,
                                          const std::string& text_field,
                                          const std::string& label_field, LabelPolicy policy,
                                          char delimiter) {
  const std::string name = path.string();
  const std::string extension = path.extension().string();
  if (extension != ".jsonl" && !is_table(path))
    return Error{ErrorCode::kConfig,
                 name + ": expected a name that ends in .jsonl, .csv or .tsv, found " +
                     quote_for_message(extension) + "; convert or rename the file",
                 ""};
  DBSA_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  DBSA_ASSIGN_OR_RETURN(
      std::vector<Example> examples,
      is_table(path) ? read_csv_examples(text, name, text_field, label_field, policy, delimiter)
                     : read_jsonl(text, name, text_field, label_field, policy));
  for (Example& example : examples) {
    example.label = to_nfc(example.label);
    for (std::string& label : example.more_labels) label = to_nfc(label);
  }
  if (examples.empty())
    return Error{ErrorCode::kConfig,
                 name +
                     ": expected at least one example, found none; add examples or name another "
                     "file",
                 ""};
  return examples;
}

bool is_table(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".csv" || extension == ".tsv";
}

std::string describe_table(const std::filesystem::path& path, const std::string& text_field,
                           const std::string& label_field, char delimiter) {
  if (!is_table(path)) return "";
  constexpr size_t kHeaderBytes = 1 << 16;
  std::string start(kHeaderBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  const bool given = delimiter != '\0';
  if (start.starts_with("\xEF\xBB\xBF")) start.erase(0, 3);
  if (!given) delimiter = sniff_delimiter(start, text_field, label_field);
  return path.string() + ": fields are separated by " + delimiter_name(delimiter) +
         (given ? ", as data.delimiter says; columns " : ", by the header; columns ") +
         quote_names(csv_columns(start, delimiter));
}

bool is_right(const Example& example, std::string_view answer) {
  if (example.label.empty()) return false;
  const std::string given = to_nfc(answer);
  const std::vector<std::string> right = all_labels(example);
  return std::any_of(right.begin(), right.end(),
                     [&](const std::string& label) { return to_nfc(label) == given; });
}

std::vector<std::string> all_labels(const Example& example) {
  std::vector<std::string> labels;
  if (!example.label.empty()) labels.push_back(example.label);
  labels.insert(labels.end(), example.more_labels.begin(), example.more_labels.end());
  return labels;
}

Result<std::vector<int64_t>> load_indices(const std::filesystem::path& path, int64_t count) {
  const std::string name = path.string();
  DBSA_ASSIGN_OR_RETURN(const std::string text, read_text(path));
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

Result<std::vector<Example>> draw(std::span<const Example> examples, int64_t count, uint64_t seed) {
  const int64_t available = static_cast<int64_t>(examples.size());
  if (count == 0) return std::vector<Example>(examples.begin(), examples.end());
  if (count < 0 || count > available)
    return Error{ErrorCode::kConfig,
                 "data.demonstration_count: expected at most " + std::to_string(available) +
                     ", the number of demonstrations in the file, found " + std::to_string(count) +
                     "; lower it, or write 0 for all",
                 "/data/demonstration_count"};
  std::vector<int64_t> order(available);
  std::iota(order.begin(), order.end(), int64_t{0});
  Random(seed).shuffle(std::span(order));
  order.resize(count);
  std::sort(order.begin(), order.end());
  return pick(examples, order);
}

std::vector<std::string> label_table(std::span<const Example> demonstrations) {
  std::vector<std::string> labels;
  for (const Example& example : demonstrations) labels.push_back(to_nfc(example.label));
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

Status check_query_labels(std::span<const Example> queries, std::span<const std::string> labels,
                          const std::filesystem::path& queries_path, bool labels_given) {
  for (const Example& query : queries) {
    const std::vector<std::string> wanted = all_labels(query);
    if (wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& label) {
          return std::binary_search(labels.begin(), labels.end(), to_nfc(label));
        }))
      continue;
    return data_fault(
        queries_path.string(), query.line,
        std::string("expected a label ") + (labels_given ? "of data.labels, or one " : "") +
            "that some demonstration has, found " + quote_for_message(query.label) +
            (labels_given ? "; add it to data.labels"
                          : "; add a demonstration with it, name a file with all labels in "
                            "data.labels,") +
            " or remove the query");
  }
  return {};
}

}  // namespace dbsa
