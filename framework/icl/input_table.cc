#include "icl/input_table.h"

#include <algorithm>
#include <utility>

#include "config/json_text.h"
#include "icl/field_names.h"
#include "icl/json_members.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// The members of a line; nothing where it is no object.
std::optional<std::vector<JsonMember>> members_of(std::string_view line) {
  nlohmann::json value;
  if (parse_json(line, value) || !value.is_object()) return std::nullopt;
  return json_members(line);
}

// A value as a field of a table.
std::string field_text(std::string_view value) {
  if (value == "null") return "";
  if (!value.starts_with('"')) return std::string(value);
  const auto text = nlohmann::json::parse(value, nullptr, false);
  return text.is_string() ? text.get<std::string>() : std::string(value);
}

}  // namespace

Result<InputTable> InputTable::load(const RowFormat& format, char delimiter) {
  DBSA_ASSIGN_OR_RETURN(DataText data, read_data_file(format.name));
  return read(std::move(data), is_table(format.name), format, delimiter);
}

Result<InputTable> InputTable::parse(std::string bytes, const RowFormat& format, char delimiter) {
  DBSA_ASSIGN_OR_RETURN(DataText data, to_data_text(std::move(bytes), format.name));
  const size_t first = data.text.find_first_not_of(" \t\r\n");
  const bool csv = first == data.text.npos || data.text[first] != '{';
  return read(std::move(data), csv, format, delimiter);
}

Result<InputTable> InputTable::read(DataText data, bool csv, const RowFormat& format,
                                    char delimiter) {
  InputTable table;
  table.data_ = std::move(data);
  table.csv_ = csv;
  const std::string_view text = table.data_.text;
  DBSA_ASSIGN_OR_RETURN(table.rows_, parse_rows(text, csv, format, delimiter));
  if (csv) {
    DBSA_ASSIGN_OR_RETURN(table.layout_,
                          csv_layout(text, format.text, format.label_field, delimiter));
  } else {
    table.find_keys();
  }
  std::vector<std::string>& columns = table.layout_.columns;
  const std::string key = field_key(format.text.parts().front().field);
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const std::string& name) { return field_key(name) == key; });
  table.text_column_ = static_cast<size_t>(found - columns.begin());
  if (found == columns.end()) columns.push_back(format.text.parts().front().field);
  return table;
}

void InputTable::find_keys() {
  for (size_t row = 0; row < rows_.size(); ++row) {
    const std::string line = record(row);
    const auto members = members_of(line);
    if (!members) continue;
    for (const JsonMember& member : *members)
      if (keys_.emplace(member.key, layout_.columns.size()).second)
        layout_.columns.push_back(member.key);
  }
}

std::string InputTable::record(size_t row) const {
  std::string_view record = std::string_view(data_.text).substr(rows_[row].begin, rows_[row].bytes);
  while (!csv_ && record.ends_with('\r')) record.remove_suffix(1);
  return utf8::find_invalid(record) ? utf8::to_valid(record) : std::string(record);
}

std::optional<std::vector<std::string>> InputTable::split(size_t row) const {
  const std::string record = this->record(row);
  if (csv_) {
    std::vector<std::string> fields = csv_fields(record, layout_);
    if (fields.empty()) return std::nullopt;
    return fields;
  }
  const auto members = members_of(record);
  if (!members) return std::nullopt;
  std::vector<std::string> fields(columns().size());
  for (const JsonMember& member : *members) fields[keys_.at(member.key)] = field_text(member.value);
  return fields;
}

std::vector<std::string> InputTable::fields(size_t row) const {
  if (auto fields = split(row)) return *std::move(fields);
  std::vector<std::string> fields(columns().size());
  fields[text_column_] = record(row);
  return fields;
}

}  // namespace dbsa
