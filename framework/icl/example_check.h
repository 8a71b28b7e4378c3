// What every format asks of an example.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "icl/dataset.h"

namespace dbsa {

// A data file and what is read of it.
struct RowFormat {
  std::string name;  // of the file, for messages
  TextFields text;
  std::string label_field;
  LabelPolicy policy = LabelPolicy::kRequired;
  LabelNames names = {};  // of the codes in label_field; empty: it has labels
};

// kConfig "NAME:LINE: what".
Error data_fault(const std::string& name, int64_t line, const std::string& what);

// Of a file whose lines end in CR only.
Error cr_fault(const std::string& name);

// Makes the text of the values of its fields. kConfig where all of them are blank.
Status write_text(std::span<const std::string> values, const RowFormat& format, Example& example);

// Whether nothing of it is seen: it is empty, white space or invisible (unseen.h).
bool is_blank(std::string_view text);

// "expected UTF-8, found the byte 0xFF at byte 1 of the line": of text[bad], the text a line or
// some.
std::string not_utf8(std::string_view text, size_t bad);

// kConfig naming the first byte that is not UTF-8. first_line: that of the text's first byte.
Status check_utf8(std::string_view text, const std::string& name, int64_t first_line);

// A label that is not blank and has nothing around it that is not seen.
Status check_label(const std::string& label, int64_t line, const RowFormat& format);

// Gives the row the error of `status`; the first fault of a row is the one that is told.
void add_fault(ItemFault kind, const Status& status, Row& row);

// The labels of the row are none: tells why, and drops them.
void drop_labels(const Status& why, Row& row);

// A text that is not blank, and labels as far as the policy asks for them, by their names. A label
// that is none is dropped.
void check_row(const RowFormat& format, Row& row);

}  // namespace dbsa
