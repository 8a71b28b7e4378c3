#include "icl/answer_table.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "icl/field_names.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// How names are compared: many programs that read tables know no case.
std::string name_key(std::string_view name) {
  std::string key = field_key(name);
  for (char& c : key)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return key;
}

// The name, or the first of name_2, name_3 ... that is not taken.
std::string free_name(const std::string& name, const std::set<std::string>& taken) {
  std::string free = name;
  for (int n = 2; taken.contains(name_key(free)); ++n) free = name + "_" + std::to_string(n);
  return free;
}

char output_delimiter(const InputTable& input, TableFormat format) {
  if (format == TableFormat::kTsv) return '\t';
  const char own = input.is_csv() ? input.layout().delimiter : ',';
  return own != '\t' && kDelimiters.find(own) != kDelimiters.npos ? own : ',';
}

// In quotes where a reader would see anything but a field.
std::string quoted_cell(const std::string& field) {
  if (field.find_first_of(",;|\t\"\r\n") == field.npos) return field;
  std::string text = "\"";
  for (const char c : field) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + '"';
}

std::string number_cell(const std::optional<double>& value) {
  if (!value) return "";
  std::array<char, 32> text;
  return {text.data(),
          static_cast<size_t>(std::snprintf(text.data(), text.size(), "%.6f", *value))};
}

std::string json_string(const std::string& text) { return nlohmann::json(text).dump(); }

// Generated text may be none.
std::string utf8_text(const std::string& text) {
  return utf8::find_invalid(text) ? utf8::to_valid(text) : text;
}

// The values of kNames; an empty one is none.
std::array<std::string, AnswerTable::kColumns> texts_of(const TableAnswer& answer) {
  return {utf8_text(answer.label.value_or("")),
          number_cell(answer.probability),
          number_cell(answer.margin),
          utf8_text(answer.runner_up.value_or("")),
          utf8_text(answer.abstained_label.value_or("")),
          utf8_text(answer.error)};
}

}  // namespace

AnswerTable::AnswerTable(const InputTable& input, TableFormat format)
    : input_(input), format_(format), delimiter_(output_delimiter(input, format)) {
  if (format != TableFormat::kJsonLines && input.is_csv()) {
    bom_ = input.has_bom();
    if (input.layout().crlf) line_end_ = "\r\n";
  }
  std::set<std::string> taken, keys;
  for (const std::string& name : input.columns()) taken.insert(name_key(name));
  for (const std::string& name : input.columns()) {
    // Two columns may have one name, two members may not.
    std::string key = name;
    for (int n = 2; !keys.insert(key).second; ++n) key = name + "_" + std::to_string(n);
    keys_.push_back(key);
    taken.insert(name_key(key));
  }
  for (size_t i = 0; i < kColumns; ++i) {
    const std::string name = kNames[i];
    names_[i] = taken.contains(name_key(name)) ? free_name("answer_" + name, taken) : name;
  }
}

std::string AnswerTable::head() const {
  if (format_ == TableFormat::kJsonLines) return "";
  std::vector<std::string> names = input_.columns();
  names.insert(names.end(), names_.begin(), names_.end());
  return (bom_ ? "\xEF\xBB\xBF" : "") + csv_line(names);
}

std::string AnswerTable::row(size_t index, const TableAnswer& answer) const {
  if (format_ == TableFormat::kJsonLines) return json_line(index, answer);
  std::vector<std::string> fields = input_.fields(index);
  const auto texts = texts_of(answer);
  fields.insert(fields.end(), texts.begin(), texts.end());
  return csv_line(fields);
}

std::string AnswerTable::csv_line(const std::vector<std::string>& fields) const {
  std::string line;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) line += delimiter_;
    line += quoted_cell(field);
  }
  return line + line_end_;
}

std::string AnswerTable::json_line(size_t index, const TableAnswer& answer) const {
  std::string line = "{";
  const auto add = [&](const std::string& key, const std::string& value) {
    line +=
        (line.find_last_not_of(" \t{") == line.npos ? "" : ",") + json_string(key) + ":" + value;
  };
  if (!input_.has_fields(index)) {
    add(keys_[input_.text_column()], json_string(input_.record(index)));
  } else if (input_.is_csv()) {
    const std::vector<std::string> fields = input_.fields(index);
    for (size_t i = 0; i < fields.size(); ++i) add(keys_[i], json_string(fields[i]));
  } else {
    line = input_.record(index);
    line.erase(line.rfind('}'));
    line.erase(line.find_last_not_of(" \t\r") + 1);
  }
  const auto texts = texts_of(answer);
  const bool is_number[kColumns] = {false, true, true, false, false, false};
  const bool is_there[kColumns] = {
      answer.label.has_value(),     answer.probability.has_value(),     answer.margin.has_value(),
      answer.runner_up.has_value(), answer.abstained_label.has_value(), !answer.error.empty()};
  for (size_t i = 0; i < kColumns; ++i)
    add(names_[i], !is_there[i] ? "null" : is_number[i] ? texts[i] : json_string(texts[i]));
  return line + "}\n";
}

}  // namespace dbsa
