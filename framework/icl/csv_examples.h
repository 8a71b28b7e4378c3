// Examples from CSV.
//
// The first record names the columns, which are compared as field_key says; where every name except
// the first has spaces before it ("text, label"), spaces behind delimiters are no part of fields
// anywhere in the file. An empty field at the end of some records is passed over, as exports write
// it. A first line "sep=;" says the delimiter, as for Excel.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"
#include "icl/example_check.h"

namespace dbsa {

// Delimiters that are told apart, the likeliest first.
inline constexpr std::string_view kDelimiters = ",;\t|";

// The delimiter under which the header of a file has the most of the columns that are asked for,
// then the most columns, then the first of kDelimiters.
char sniff_delimiter(std::string_view text, const TextFields& fields,
                     const std::string& label_field);

// See load_rows. Labels come as they are written. delimiter: '\0' for the one that
// sniff_delimiter finds.
Result<std::vector<Row>> read_csv_rows(std::string_view text, const RowFormat& format,
                                       char delimiter);

// How the records of a file are written.
struct CsvLayout {
  std::vector<std::string> columns;  // their names as they stand in the header
  char delimiter = ',';
  bool skip_spaces = false;  // spaces behind delimiters are no part of fields
  bool crlf = false;         // the header ends in it
};
// Of a text that read_csv_rows has taken. delimiter: as there. kConfig where the header cannot be
// read.
Result<CsvLayout> csv_layout(std::string_view text, const TextFields& fields,
                             const std::string& label_field, char delimiter);
// The fields of a record, one for each column. Where there are fewer, empty ones follow; where
// there are more, the last has all that are left, with the delimiters between. None where quotes
// are amiss.
std::vector<std::string> csv_fields(std::string_view record, const CsvLayout& layout);

// The names of the columns, for a log; none where the header cannot be read.
std::vector<std::string> csv_columns(std::string_view text, char delimiter);

// A delimiter for messages: a comma, a tab, or the character in quotes.
std::string delimiter_name(char delimiter);

}  // namespace dbsa
