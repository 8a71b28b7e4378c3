#include "icl/csv_examples.h"

#include <algorithm>
#include <optional>

#include "icl/csv.h"
#include "icl/example_check.h"
#include "icl/field_names.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using Header = std::vector<std::string>;

// The next record's fields as names of columns (field_key), and whether spaces stand before all but
// the first; nothing at the end of the file.
Result<std::optional<Header>> read_header(CsvReader& reader) {
  Header header;
  reader.skip_spaces(true);
  DBSA_ASSIGN_OR_RETURN(const bool more, reader.next(header));
  if (!more) return std::optional<Header>();
  reader.skip_spaces(header.size() > 1 &&
                     reader.spaced() == static_cast<int64_t>(header.size()) - 1);
  for (std::string& name : header) name = field_key(name);
  return std::optional<Header>(std::move(header));
}

// "sep=;" as the first line: its delimiter, and what is behind the line.
std::optional<char> take_declaration(std::string_view& text) {
  if (!text.starts_with("sep=") || text.size() < 6) return std::nullopt;
  const char delimiter = text[4];
  const std::string_view behind = text.substr(5);
  const size_t end = behind.starts_with("\r\n") ? 2 : behind.starts_with('\n') ? 1 : 0;
  if (end == 0) return std::nullopt;
  text = behind.substr(end - 1);  // the line end stays, so that lines are counted right
  return delimiter;
}

// Whether CR without LF ends the first record, as old programs on Macs write it.
bool first_line_ends_in_cr(std::string_view text) {
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (quoted || (text[at] != '\r' && text[at] != '\n')) continue;
    const size_t behind = text.find_first_not_of('\r', at);
    return text[at] == '\r' && behind != text.npos && text[behind] != '\n';
  }
  return false;
}

// The column of a field, or -1 where it is absent and may be.
Result<int64_t> find_column(const Header& header, const std::string& field, bool optional,
                            const RowFormat& format, const CsvReader& reader) {
  const std::string& name = format.name;
  const std::string key = field_key(field);
  const auto found = std::find(header.begin(), header.end(), key);
  if (found == header.end()) {
    if (optional && nearly_named(key, header).empty()) return int64_t{-1};
    return data_fault(
        name, reader.line(),
        "expected a column " + quote_for_message(field) + ", found " + quote_names(header) +
            " separated by " + delimiter_name(reader.delimiter()) +
            name_advice(field, header, "columns", format.text) + ", or set data.delimiter");
  }
  if (std::find(found + 1, header.end(), key) != header.end())
    return data_fault(
        name, reader.line(),
        "expected one column " + quote_for_message(field) + ", found several; rename the others");
  return static_cast<int64_t>(found - header.begin());
}

struct Columns {
  size_t count = 0;
  bool last_is_empty = false;      // the name of the last one
  std::vector<int64_t> text = {};  // of each part of the text
  int64_t label = -1;              // -1: there is none
};

// Whether the fields are as many as the columns; an empty one at the end may be too many or
// missing.
bool fit_columns(std::vector<std::string>& fields, const Columns& columns) {
  if (fields.size() == columns.count + 1 && fields.back().empty()) fields.pop_back();
  if (fields.size() + 1 == columns.count && columns.last_is_empty) fields.emplace_back();
  return fields.size() == columns.count;
}

// The record that was read last.
void read_record(const CsvReader& reader, const Columns& columns, const RowFormat& format,
                 std::vector<std::string>& fields, Row& row) {
  add_fault(ItemFault::kNotUtf8, check_utf8(reader.record(), format.name, reader.line()), row);
  const size_t found = fields.size();
  if (!fit_columns(fields, columns)) {
    const char delimiter = reader.delimiter();
    add_fault(ItemFault::kMalformed,
              data_fault(
                  format.name, reader.line(),
                  "expected " + std::to_string(columns.count) + " fields as in the header, found " +
                      std::to_string(found) + "; put fields with " +
                      (delimiter == ',' ? "commas" : delimiter_name(delimiter)) + " in quotes"),
              row);
    return;
  }
  if (row.error)
    for (std::string& field : fields) field = utf8::to_valid(field);
  std::vector<std::string> values;
  for (const int64_t column : columns.text) values.push_back(fields[static_cast<size_t>(column)]);
  if (columns.label >= 0) row.example.label = fields[static_cast<size_t>(columns.label)];
  add_fault(ItemFault::kEmptyText, write_text(values, format, row.example), row);
  check_row(format, row);
}

}  // namespace

std::string delimiter_name(char delimiter) {
  return delimiter == ','    ? "a comma"
         : delimiter == '\t' ? "a tab"
                             : quote_for_message({&delimiter, 1});
}

char sniff_delimiter(std::string_view text, const TextFields& fields,
                     const std::string& label_field) {
  if (const std::optional<char> declared = take_declaration(text)) return *declared;
  char best = kDelimiters.front();
  std::pair<int, size_t> best_score = {-1, 0};
  for (const char delimiter : kDelimiters) {
    CsvReader reader(text, "", delimiter);
    const Result<std::optional<Header>> header = read_header(reader);
    if (!header.ok() || !header->has_value()) continue;
    const Header& names = **header;
    const auto has = [&](const std::string& field) {
      const std::string key = field_key(field);
      return std::find(names.begin(), names.end(), key) != names.end() ? 2
             : !nearly_named(key, names).empty()                       ? 1
                                                                       : 0;
    };
    std::pair<int, size_t> score = {has(label_field), names.size()};
    for (const std::string& field : fields.names()) score.first += has(field);
    if (score > best_score) {
      best = delimiter;
      best_score = score;
    }
  }
  return best;
}

std::vector<std::string> csv_columns(std::string_view text, char delimiter) {
  take_declaration(text);
  CsvReader reader(text, "", delimiter);
  const Result<std::optional<Header>> header = read_header(reader);
  return header.ok() && header->has_value() ? **header : Header();
}

Result<CsvLayout> csv_layout(std::string_view text, const TextFields& fields,
                             const std::string& label_field, char delimiter) {
  CsvLayout layout;
  layout.delimiter = delimiter == '\0' ? sniff_delimiter(text, fields, label_field) : delimiter;
  take_declaration(text);
  CsvReader reader(text, "", layout.delimiter);
  DBSA_ASSIGN_OR_RETURN(const std::optional<Header> header, read_header(reader));
  if (!header) return layout;
  const std::string_view record = reader.record();
  layout.skip_spaces = reader.skips_spaces();
  layout.crlf = text.substr(static_cast<size_t>(record.data() - text.data()) + record.size())
                    .starts_with('\r');
  CsvReader names(record, "", layout.delimiter);
  names.skip_spaces(layout.skip_spaces);
  DBSA_RETURN_IF_ERROR(names.next(layout.columns));
  return layout;
}

std::vector<std::string> csv_fields(std::string_view record, const CsvLayout& layout) {
  CsvReader reader(record, "", layout.delimiter);
  reader.skip_spaces(layout.skip_spaces);
  std::vector<std::string> fields;
  const Result<bool> more = reader.next(fields);
  if (!more.ok() || !*more) return {};
  const size_t count = layout.columns.size();
  if (fields.size() == count + 1 && fields.back().empty()) fields.pop_back();
  for (size_t i = count; i < fields.size(); ++i) fields[count - 1] += layout.delimiter + fields[i];
  fields.resize(count);
  return fields;
}

Result<std::vector<Row>> read_csv_rows(std::string_view text, const RowFormat& format,
                                       char delimiter) {
  if (delimiter == '\0') delimiter = sniff_delimiter(text, format.text, format.label_field);
  const char* const begin = text.data();
  take_declaration(text);
  CsvReader reader(text, format.name, delimiter);
  std::vector<Row> rows;
  if (first_line_ends_in_cr(text)) return cr_fault(format.name);
  DBSA_ASSIGN_OR_RETURN(const std::optional<Header> header, read_header(reader));
  if (!header) return rows;
  DBSA_RETURN_IF_ERROR(check_utf8(reader.record(), format.name, reader.line()));
  Columns columns = {header->size(), header->back().empty()};
  for (const TextFields::Part& part : format.text.parts()) {
    DBSA_ASSIGN_OR_RETURN(const int64_t column,
                          find_column(*header, part.field, false, format, reader));
    columns.text.push_back(column);
  }
  DBSA_ASSIGN_OR_RETURN(columns.label,
                        find_column(*header, format.label_field,
                                    format.policy == LabelPolicy::kOptional, format, reader));
  std::vector<std::string> fields;
  while (true) {
    const Result<bool> more = reader.next(fields);
    if (more.ok() && !*more) return rows;
    Row row;
    row.example.line = reader.line();
    if (more.ok()) {
      read_record(reader, columns, format, fields, row);
    } else {
      add_fault(ItemFault::kMalformed, more.error(), row);
      reader.skip_line();
    }
    row.begin = static_cast<size_t>(reader.record().data() - begin);
    row.bytes = reader.record().size();
    rows.push_back(std::move(row));
  }
}

}  // namespace dbsa
