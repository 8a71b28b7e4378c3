#include "icl/text_fields.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "icl/dataset.h"
#include "icl/example_check.h"
#include "icl/field_names.h"

namespace dbsa {
namespace {

constexpr const char* kLabel = "label";

Error template_fault(std::string_view text, size_t at, const std::string& what) {
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = at - (before.rfind('\n') + 1) + 1;
  return Error{ErrorCode::kConfig,
               "prompt.demonstration: " + what + ", at byte " + std::to_string(column) +
                   " of line " + std::to_string(line) + " of the template",
               "/prompt/demonstration"};
}

// What stands before a field, and its name.
struct Piece {
  std::string before;
  std::optional<std::string> field;  // nothing: the end of the template
  size_t at = 0;                     // of the field's brace
};

Result<Piece> next_piece(std::string_view text, size_t& at) {
  Piece piece;
  while (at < text.size()) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      piece.before += c;
      ++at;
      continue;
    }
    if (text.substr(at + 1).starts_with(c)) {  // {{ or }}
      piece.before += c;
      at += 2;
      continue;
    }
    if (c == '}') return template_fault(text, at, "a \"}\" closes no field; write }} for a brace");
    const size_t end = text.find_first_of("{}\n", at + 1);
    if (end == text.npos || text[end] != '}')
      return template_fault(text, at, "a \"{\" is not closed; write {{ for a brace");
    piece.field = std::string(text.substr(at + 1, end - at - 1));
    piece.at = at;
    at = end + 1;
    if (is_blank(*piece.field))
      return template_fault(text, piece.at,
                            "expected the name of a column in the braces, found none");
    return piece;
  }
  return piece;
}

}  // namespace

std::vector<std::string> TextFields::names() const {
  std::vector<std::string> names;
  for (const Part& part : parts_)
    if (std::find(names.begin(), names.end(), part.field) == names.end())
      names.push_back(part.field);
  return names;
}

std::string TextFields::description() const {
  if (is_single()) return parts_.front().field;
  std::string text;
  for (const Part& part : parts_) text += part.before + "{" + part.field + "}";
  return text;
}

std::string TextFields::write(std::span<const std::string> values) const {
  std::string text;
  for (size_t i = 0; i < parts_.size(); ++i) text += parts_[i].before + values[i];
  return text;
}

std::string TextFields::write_all(const std::string& value) const {
  return write(std::vector<std::string>(parts_.size(), value));
}

Result<DemonstrationTemplate> parse_demonstration_template(std::string_view text,
                                                           const std::string& label_field) {
  std::vector<TextFields::Part> parts;
  std::string before, lead;
  for (size_t at = 0;;) {
    DBSA_ASSIGN_OR_RETURN(Piece piece, next_piece(text, at));
    if (!piece.field)
      return template_fault(text, text.size(),
                            "expected {label}, where the label is written, found none");
    if (*piece.field == kLabel) {
      if (parts.empty())
        return template_fault(text, piece.at,
                              "expected a field before {label}, such as {text}, found none");
      lead = std::move(piece.before);
      Piece after;
      DBSA_ASSIGN_OR_RETURN(after, next_piece(text, at));
      if (after.field)
        return template_fault(
            text, after.at,
            *after.field == kLabel
                ? std::string("expected one {label}, found two")
                : "{" + *after.field +
                      "} stands behind {label}; a query ends where its label is to be written, so "
                      "write all fields before {label}");
      return DemonstrationTemplate{std::move(before), TextFields(std::move(parts)), std::move(lead),
                                   std::move(after.before)};
    }
    if (field_key(*piece.field) == field_key(label_field))
      return template_fault(text, piece.at,
                            "{" + *piece.field +
                                "} is the column of labels (data.label_field), and its value would "
                                "stand in the query, too; write {label} for the label");
    if (parts.empty()) before = std::exchange(piece.before, "");
    parts.push_back({std::move(piece.before), *std::move(piece.field)});
  }
}

}  // namespace dbsa
