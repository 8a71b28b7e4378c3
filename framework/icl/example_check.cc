#include "icl/example_check.h"

#include <algorithm>
#include <cstdio>

#include "icl/field_names.h"
#include "icl/unseen.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

Status check_text(const Example& example, const RowFormat& format) {
  if (!is_blank(example.text)) return {};
  return data_fault(format.name, example.line,
                    "expected a text in field " + quote_for_message(format.text.description()) +
                        ", found an empty one; fill it in or remove the record");
}

Status check_labels(const Example& example, const RowFormat& format) {
  if (example.label.empty() && format.policy == LabelPolicy::kOptional) return {};
  DBSA_RETURN_IF_ERROR(check_label(example.label, example.line, format));
  for (const std::string& label : example.more_labels)
    DBSA_RETURN_IF_ERROR(check_label(label, example.line, format));
  return {};
}

// Codes become names.
Status name_labels(Example& example, const RowFormat& format) {
  Status named;
  if (!example.label.empty()) named = format.names.translate(example.label);
  for (std::string& label : example.more_labels)
    if (named.ok()) named = format.names.translate(label);
  if (named.ok()) return {};
  return data_fault(format.name, example.line, named.error().message);
}

}  // namespace

Status write_text(std::span<const std::string> values, const RowFormat& format, Example& example) {
  example.text = format.text.write(values);
  if (format.text.is_single()) return {};  // check_row looks at it
  if (std::any_of(values.begin(), values.end(),
                  [](const std::string& value) { return !is_blank(value); }))
    return {};
  return data_fault(format.name, example.line,
                    "expected a text in one of the fields " + quote_names(format.text.names()) +
                        ", found all of them empty; fill one in or remove the record");
}

Error data_fault(const std::string& name, int64_t line, const std::string& what) {
  return Error{ErrorCode::kConfig, name + ":" + std::to_string(line) + ": " + what, ""};
}

Error cr_fault(const std::string& name) {
  return data_fault(name, 1,
                    "expected lines that end in LF or CRLF, found a line that ends in CR only; "
                    "convert the file's line ends to LF");
}

bool is_blank(std::string_view text) { return trim_unseen(text).empty(); }

std::string not_utf8(std::string_view text, size_t bad) {
  const size_t line_begin = text.substr(0, bad).rfind('\n') + 1;  // npos + 1 = 0
  char hex[8];
  std::snprintf(hex, sizeof hex, "0x%02X", static_cast<unsigned char>(text[bad]));
  return "expected UTF-8, found the byte " + std::string(hex) + " at byte " +
         std::to_string(bad - line_begin + 1) + " of the line";
}

Status check_utf8(std::string_view text, const std::string& name, int64_t first_line) {
  const auto bad = utf8::find_invalid(text);
  if (!bad) return {};
  const std::string_view before = text.substr(0, *bad);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  return data_fault(name, first_line + lines, not_utf8(text, *bad) + "; convert the file to UTF-8");
}

Status check_label(const std::string& label, int64_t line, const RowFormat& format) {
  if (is_blank(label))
    return data_fault(format.name, line,
                      "expected a label in field " + quote_for_message(format.label_field) +
                          ", found an empty one; fill it in or remove the record");
  const std::string_view trimmed = trim_unseen(label);
  if (trimmed.size() == label.size()) return {};
  const auto begin = static_cast<size_t>(trimmed.data() - label.data());
  const std::string around = label.substr(0, begin) + label.substr(begin + trimmed.size());
  const std::string names = unseen_names(around);
  if (names.empty())
    return data_fault(format.name, line,
                      "expected a label without white space around it, found " +
                          quote_for_message(label) + "; remove the white space");
  return data_fault(format.name, line,
                    "expected a label without white space or invisible characters around it, "
                    "found " +
                        quote_for_message(label) + "; remove " + names);
}

void add_fault(ItemFault kind, const Status& status, Row& row) {
  if (!status.ok() && !row.error) row.error = ItemError{kind, status.error().message};
}

void drop_labels(const Status& why, Row& row) {
  add_fault(ItemFault::kBadLabel, why, row);
  row.example.label.clear();
  row.example.more_labels.clear();
}

void check_row(const RowFormat& format, Row& row) {
  if (!row.error) add_fault(ItemFault::kEmptyText, check_text(row.example, format), row);
  Status labels = check_labels(row.example, format);
  if (labels.ok()) labels = name_labels(row.example, format);
  if (!labels.ok()) drop_labels(labels, row);
}

}  // namespace dbsa
