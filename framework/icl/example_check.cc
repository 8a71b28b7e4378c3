#include "icl/example_check.h"

#include <algorithm>

namespace dbsa {
namespace {

bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

Error data_fault(const std::string& name, int64_t line, const std::string& what) {
  return Error{ErrorCode::kConfig, name + ":" + std::to_string(line) + ": " + what, ""};
}

bool is_blank(std::string_view text) { return std::all_of(text.begin(), text.end(), is_white); }

Status check_label(const std::string& label, int64_t line, const std::string& name,
                   const std::string& label_field) {
  if (is_blank(label))
    return data_fault(name, line,
                      "expected a label in field " + quote_for_message(label_field) +
                          ", found an empty one; fill it in or remove the record");
  if (is_white(label.front()) || is_white(label.back()))
    return data_fault(name, line,
                      "expected a label without white space around it, found " +
                          quote_for_message(label) + "; remove the white space");
  return {};
}

Status check_example(const Example& example, const std::string& name, const std::string& text_field,
                     const std::string& label_field, LabelPolicy policy) {
  if (is_blank(example.text))
    return data_fault(name, example.line,
                      "expected a text in field " + quote_for_message(text_field) +
                          ", found an empty one; fill it in or remove the record");
  if (example.label.empty() && policy == LabelPolicy::kOptional) return {};
  DBSA_RETURN_IF_ERROR(check_label(example.label, example.line, name, label_field));
  for (const std::string& label : example.more_labels)
    DBSA_RETURN_IF_ERROR(check_label(label, example.line, name, label_field));
  return {};
}

}  // namespace dbsa
