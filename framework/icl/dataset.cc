#include "icl/dataset.h"

#include <dbsa/sdk/random.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "icl/csv_examples.h"
#include "icl/data_file.h"
#include "icl/example_check.h"
#include "icl/field_names.h"
#include "icl/jsonl_examples.h"
#include "icl/unseen.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

using Json = nlohmann::json;

// What follows the first kMaxToldFaults of `count` faults.
std::string untold_faults(size_t count, const std::string& name) {
  if (count <= kMaxToldFaults) return "";
  return "\n" + name + ": and " + std::to_string(count - kMaxToldFaults) +
         (count == kMaxToldFaults + 1 ? " more fault" : " more faults");
}

bool is_unprintable(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || is_white_space(c) || is_invisible(c);
}

}  // namespace

std::string quote_for_message(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string quoted = "\"";
  while (!text.empty()) {
    const FirstCharacter c = first_of(text);
    const std::string_view bytes = text.substr(0, std::max<size_t>(c.bytes, 1));
    if (quoted.size() > kMost) return quoted + "...\"";
    text.remove_prefix(bytes.size());
    if (c.code == '\n') {
      quoted += "\\n";
    } else if (c.code == '\t') {
      quoted += "\\t";
    } else if (c.code == '\r') {
      quoted += "\\r";
    } else if (c.code == '"' || c.code == '\\') {
      quoted += {'\\', static_cast<char>(c.code)};
    } else if (c.bytes > 0 && c.code != ' ' && is_unprintable(c.code)) {
      char hex[12];
      std::snprintf(hex, sizeof hex, c.code > 0xFFFF ? "\\U%08X" : "\\u%04X",
                    static_cast<unsigned>(c.code));
      quoted += hex;
    } else {
      quoted += bytes;
    }
  }
  return quoted + "\"";
}

Result<std::vector<Row>> load_rows(const std::filesystem::path& path, const TextFields& text,
                                   const std::string& label_field, LabelPolicy policy,
                                   char delimiter, const LabelNames& names) {
  DBSA_ASSIGN_OR_RETURN(const DataText data, read_data_file(path));
  return parse_rows(data.text, is_table(path), {path.string(), text, label_field, policy, names},
                    delimiter);
}

Result<std::vector<Example>> load_dataset(const std::filesystem::path& path, const TextFields& text,
                                          const std::string& label_field, LabelPolicy policy,
                                          char delimiter, const LabelNames& names) {
  DBSA_ASSIGN_OR_RETURN(std::vector<Row> rows,
                        load_rows(path, text, label_field, policy, delimiter, names));
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
  return text + untold_faults(count, name);
}

bool is_table(const std::filesystem::path& path) {
  const std::string extension = data_extension(path);
  return extension == ".csv" || extension == ".tsv";
}

std::string describe_table(const std::filesystem::path& path, const TextFields& text,
                           const std::string& label_field, char delimiter) {
  if (!is_table(path)) return "";
  constexpr size_t kHeaderBytes = 1 << 16;
  const std::string start = read_data_start(path, kHeaderBytes);
  const bool given = delimiter != '\0';
  if (!given) delimiter = sniff_delimiter(start, text, label_field);
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
  DBSA_ASSIGN_OR_RETURN(const DataText data, read_data_bytes(path));
  const std::string& text = data.text;
  DBSA_RETURN_IF_ERROR(check_utf8(text, name, 1));
  DBSA_ASSIGN_OR_RETURN(const Json document, parse_data_json(text, name, 1));
  const Json* list = &document;
  if (document.is_object() && document.contains("lines")) list = &document["lines"];
  if (!list->is_array() || list->empty())
    return Error{ErrorCode::kConfig,
                 name +
                     ": expected an array of indices, or an object with one under \"lines\", "
                     "found " +
                     (list->is_array() ? "an empty array" : describe_json_type(*list)) +
                     "; write e.g. [0, 5, 7]",
                 ""};
  std::vector<int64_t> indices;
  std::string faults;
  size_t fault_count = 0;
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& value = (*list)[i];
    // A number above int64's largest is unsigned here, and out of range anyway.
    const bool fits = value.is_number_integer() &&
                      (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
    if (fits && value.get<int64_t>() >= 0 && value.get<int64_t>() < count)
      indices.push_back(value.get<int64_t>());
    else if (++fault_count <= kMaxToldFaults)
      faults += (faults.empty() ? "" : "\n") + name + ": entry " + std::to_string(i) +
                ": expected an integer from 0 to " + std::to_string(count - 1) + ", found " +
                value.dump() + "; indices count the queries from 0";
  }
  if (fault_count > 0)
    return Error{ErrorCode::kConfig, faults + untold_faults(fault_count, name), ""};
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
  for (const Example& example : demonstrations) labels.push_back(to_nfc(example.label));
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

}  // namespace dbsa
