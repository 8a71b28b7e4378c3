#include "icl/csv_examples.h"

#include <algorithm>
#include <optional>

#include "icl/csv.h"
#include "icl/example_check.h"
#include "icl/field_names.h"

namespace dbsa {
namespace {

using Header = std::vector<std::string>;

// A name without white space and byte order marks around it.
std::string trimmed_name(std::string_view name) {
  constexpr std::string_view kBlanks[] = {" ",  "\t", "\r",       "\n",
                                          "\v", "\f", "\xC2\xA0", "\xEF\xBB\xBF"};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view blank : kBlanks) {
      if (name.starts_with(blank)) {
        name.remove_prefix(blank.size());
        again = true;
      } else if (name.ends_with(blank)) {
        name.remove_suffix(blank.size());
        again = true;
      }
    }
  }
  return std::string(name);
}

// The next record's fields as names of columns, and whether spaces stand before all but the first;
// nothing at the end of the file.
Result<std::optional<Header>> read_header(CsvReader& reader) {
  Header header;
  reader.skip_spaces(true);
  DBSA_ASSIGN_OR_RETURN(const bool more, reader.next(header));
  if (!more) return std::optional<Header>();
  reader.skip_spaces(header.size() > 1 &&
                     reader.spaced() == static_cast<int64_t>(header.size()) - 1);
  for (std::string& name : header) name = trimmed_name(name);
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

// The column of a field, or -1 where it is absent and may be.
Result<int64_t> find_column(const Header& header, const std::string& field, bool optional,
                            const std::string& name, const CsvReader& reader) {
  const auto found = std::find(header.begin(), header.end(), field);
  if (found == header.end()) {
    if (optional && nearly_named(field, header).empty()) return int64_t{-1};
    const bool old_line_ends = std::any_of(header.begin(), header.end(), [](const auto& column) {
      return column.find('\r') != std::string::npos;
    });
    return data_fault(
        name, reader.line(),
        "expected a column " + quote_for_message(field) + ", found " + quote_names(header) +
            " separated by " + delimiter_name(reader.delimiter()) +
            (old_line_ends ? "; lines end in CR only: convert the file's line ends to LF"
                           : name_advice(field, header, "columns") + ", or set data.delimiter"));
  }
  if (std::find(found + 1, header.end(), field) != header.end())
    return data_fault(
        name, reader.line(),
        "expected one column " + quote_for_message(field) + ", found several; rename the others");
  return static_cast<int64_t>(found - header.begin());
}

// Fields as the header has them; an empty one at the end may be too many or missing.
bool fit_header(std::vector<std::string>& fields, const Header& header) {
  if (fields.size() == header.size() + 1 && fields.back().empty()) fields.pop_back();
  if (fields.size() + 1 == header.size() && header.back().empty()) fields.emplace_back();
  return fields.size() == header.size();
}

}  // namespace

std::string delimiter_name(char delimiter) {
  return delimiter == ','    ? "a comma"
         : delimiter == '\t' ? "a tab"
                             : quote_for_message({&delimiter, 1});
}

char sniff_delimiter(std::string_view text, const std::string& text_field,
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
      return std::find(names.begin(), names.end(), field) != names.end() ? 2
             : !nearly_named(field, names).empty()                       ? 1
                                                                         : 0;
    };
    const std::pair<int, size_t> score = {has(text_field) + has(label_field), names.size()};
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

Result<std::vector<Example>> read_csv_examples(std::string_view text, const std::string& name,
                                               const std::string& text_field,
                                               const std::string& label_field, LabelPolicy policy,
                                               char delimiter) {
  if (delimiter == '\0') delimiter = sniff_delimiter(text, text_field, label_field);
  take_declaration(text);
  CsvReader reader(text, name, delimiter);
  std::vector<Example> examples;
  DBSA_ASSIGN_OR_RETURN(const std::optional<Header> header, read_header(reader));
  if (!header) return examples;
  DBSA_ASSIGN_OR_RETURN(const int64_t text_column,
                        find_column(*header, text_field, false, name, reader));
  DBSA_ASSIGN_OR_RETURN(
      const int64_t label_column,
      find_column(*header, label_field, policy == LabelPolicy::kOptional, name, reader));
  std::vector<std::string> fields;
  while (true) {
    DBSA_ASSIGN_OR_RETURN(const bool more, reader.next(fields));
    if (!more) return examples;
    const size_t found = fields.size();
    if (!fit_header(fields, *header))
      return data_fault(
          name, reader.line(),
          "expected " + std::to_string(header->size()) + " fields as in the header, found " +
              std::to_string(found) + "; put fields with " +
              (delimiter == ',' ? "commas" : delimiter_name(delimiter)) + " in quotes");
    Example example;
    example.line = reader.line();
    example.text = fields[static_cast<size_t>(text_column)];
    if (label_column >= 0) example.label = fields[static_cast<size_t>(label_column)];
    DBSA_RETURN_IF_ERROR(check_example(example, name, text_field, label_field, policy));
    examples.push_back(std::move(example));
  }
}

}  // namespace dbsa
