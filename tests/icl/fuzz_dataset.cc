// Feeds any bytes to the reader of data sets. The first byte chooses the format; the rest is the
// file. What is read must be what the rules promise: UTF-8, no empty text.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "icl/answer_table.h"
#include "icl/csv.h"
#include "icl/dataset.h"
#include "icl/input_table.h"
#include "icl/label_names.h"
#include "icl/text_fields.h"
#include "text/utf8.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// A table of answers has every row, with the columns of the input as they were, and is read back
// so.
void check_tables(const dbsa::InputTable& input) {
  const dbsa::TableAnswer answer = {"a;\"b\"\n", 0.5, 0.25, "c", {}, ""};
  const size_t columns = input.columns().size() + dbsa::AnswerTable::kColumns;
  const dbsa::AnswerTable csv(input, dbsa::TableFormat::kCsv);
  const dbsa::AnswerTable tsv(input, dbsa::TableFormat::kTsv);
  const dbsa::AnswerTable json(input, dbsa::TableFormat::kJsonLines);
  std::string text = tsv.head();
  for (size_t row = 0; row < input.rows().size(); ++row) {
    text += tsv.row(row, answer);
    require(csv.row(row, answer).ends_with("\n"));
    const auto object = nlohmann::json::parse(json.row(row, answer), nullptr, false);
    require(object.is_object() && object.at(json.names()[0]) == *answer.label);
  }
  require(!dbsa::utf8::find_invalid(text));
  if (input.has_bom() && input.is_csv()) text.erase(0, 3);
  dbsa::CsvReader reader(text, "", '\t');
  std::vector<std::string> fields;
  require(reader.next(fields).value() && fields.size() == columns);
  for (size_t row = 0; row < input.rows().size(); ++row) {
    require(reader.next(fields).value() && fields.size() == columns);
    const std::vector<std::string> own = input.fields(row);
    require(std::equal(own.begin(), own.end(), fields.begin()));
  }
  require(!reader.next(fields).value());
}

// Texts of two fields, and labels by names: each text has what stands between the fields, each
// label is a name.
void check_several_fields(const std::string& path, dbsa::LabelPolicy policy, char delimiter) {
  static const auto names = dbsa::LabelNames::make({{"x", "wholly"}, {"1", "other"}}).value();
  const dbsa::TextFields fields({{"", "text"}, {" | ", "id"}});
  const auto rows = dbsa::load_rows(path, fields, "label", policy, delimiter, names);
  if (!rows.ok()) return;
  for (const dbsa::Row& row : *rows) {
    const std::string& label = row.example.label;
    require(label.empty() || label == "wholly" || label == "other");
    require(row.error || row.example.text.find(" | ") != std::string::npos);
  }
}

// A template that is taken apart has its fields and its label.
void check_template(std::string_view text) {
  const auto parts = dbsa::parse_demonstration_template(text, "label");
  if (!parts.ok()) return;
  require(!parts->text.names().empty() && text.find("{label}") != text.npos);
  require(parts->before.size() + parts->lead.size() + parts->after.size() < text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The format is told by the name, so the file needs a matching one.
  static const std::string folder = [] {
    std::string name = "/tmp/dbsa-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }();
  const std::string path = folder + ((data[0] & 1) != 0 ? "/data.csv" : "/data.jsonl");
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) std::abort();
  std::fwrite(data + 1, 1, size - 1, file);
  std::fclose(file);
  check_template({reinterpret_cast<const char*>(data) + 1, size - 1});
  const auto policy =
      (data[0] & 2) != 0 ? dbsa::LabelPolicy::kRequired : dbsa::LabelPolicy::kOptional;
  const char delimiter = (data[0] & 4) != 0 ? ';' : '\0';
  const auto examples = dbsa::load_dataset(path, "text", "label", policy, delimiter);
  if (examples.ok())
    for (const dbsa::Example& example : *examples)
      if (example.text.empty() || example.line < 1) std::abort();
  // Each record is an example or an error with its place.
  const auto rows = dbsa::load_rows(path, "text", "label", policy, delimiter);
  if (examples.ok() && (!rows.ok() || rows->size() != examples->size())) std::abort();
  if (rows.ok())
    for (const dbsa::Row& row : *rows) {
      if (row.example.line < 1 || (!row.error && row.example.text.empty())) std::abort();
      if (dbsa::utf8::find_invalid(row.example.text + row.example.label)) std::abort();
      if (row.error && !row.error->message.starts_with(path + ":")) std::abort();
    }
  check_several_fields(path, policy, delimiter);
  const auto table =
      dbsa::InputTable::parse(std::string(reinterpret_cast<const char*>(data) + 1, size - 1),
                              {"data", "text", "label", dbsa::LabelPolicy::kOptional}, delimiter);
  if (table.ok()) check_tables(*table);
  const auto indices = dbsa::load_indices(path, 10);
  if (indices.ok())
    for (const int64_t index : *indices)
      if (index < 0 || index >= 10) std::abort();
  return 0;
}
