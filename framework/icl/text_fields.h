// Which columns of a data file make an example's text, and prompt.demonstration, which says so.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

// An example's text: one field as it is, or several with text between them.
class TextFields {
 public:
  struct Part {
    std::string before;  // text in front of the field; "" in front of the first one
    std::string field;
    bool operator==(const Part&) const = default;
  };

  // One field, whose value is the text.
  TextFields(std::string field) : parts_{{"", std::move(field)}} {}  // NOLINT: a name will do
  TextFields(const char* field) : TextFields(std::string(field)) {}  // NOLINT
  // At least one part.
  explicit TextFields(std::vector<Part> parts) : parts_(std::move(parts)) {}

  const std::vector<Part>& parts() const { return parts_; }
  // The fields, each once, in the order of the text.
  std::vector<std::string> names() const;
  bool is_single() const { return parts_.size() == 1; }
  // "{a} or {b}": what messages call the text, or the identity of the fields.
  std::string description() const;

  // The text of these values, one for each part.
  std::string write(std::span<const std::string> values) const;
  // The text with the same value in every field.
  std::string write_all(const std::string& value) const;

  bool operator==(const TextFields&) const = default;

 private:
  std::vector<Part> parts_;
};

// prompt.demonstration, taken apart. "Premise: {premise}\nClaim: {claim}\nAnswer: {label}." is
// before = "Premise: ", text = "{premise}\nClaim: {claim}", lead = "\nAnswer: ", after = ".".
struct DemonstrationTemplate {
  std::string before;  // the first field
  TextFields text;
  std::string lead;   // between the last field and the label
  std::string after;  // the label
};

// A field is a column's name in braces; `{{` and `}}` are braces. `{label}` is the label, under
// any name of its column: once, behind all other fields, of which there is one at least. kConfig at
// /prompt/demonstration otherwise. label_field: the column of labels, which no field may name.
Result<DemonstrationTemplate> parse_demonstration_template(std::string_view text,
                                                           const std::string& label_field);

}  // namespace dbsa
