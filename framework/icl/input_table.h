// A data file with everything that stands in it, so that it can be written again with its answers.
#pragma once

#include <dbsa/sdk/result.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "icl/csv_examples.h"
#include "icl/data_file.h"
#include "icl/dataset.h"
#include "icl/example_check.h"

namespace dbsa {

// Holds the text of the file; a record is taken apart when it is asked for.
class InputTable {
 public:
  // Reads a file; format.name is its path. Errors as load_rows.
  static Result<InputTable> load(const RowFormat& format, char delimiter);
  // Takes the bytes of a stream, which format.name names: JSON Lines where they begin with a brace,
  // else CSV; packed or not. Errors as load_rows.
  static Result<InputTable> parse(std::string bytes, const RowFormat& format, char delimiter);

  const std::vector<Row>& rows() const { return rows_; }
  // In the order of the file. Of JSON Lines: the keys of all objects, each where it comes first.
  const std::vector<std::string>& columns() const { return layout_.columns; }

  bool is_csv() const { return csv_; }
  const CsvLayout& layout() const { return layout_; }  // of CSV, except the columns
  bool has_bom() const { return data_.bom; }

  // A row as the file has it, without its line end; what is not UTF-8 as U+FFFD.
  std::string record(size_t row) const;
  // The values of a row, one for each column. Of JSON Lines: a string's text, other values as they
  // are written, nothing for null and for a key that is not there. A record that cannot be taken
  // apart stands in the column of the text, its first one, as it is, beside empty ones.
  std::vector<std::string> fields(size_t row) const;
  // Whether the row can be taken apart.
  bool has_fields(size_t row) const { return split(row).has_value(); }
  size_t text_column() const { return text_column_; }

 private:
  static Result<InputTable> read(DataText data, bool csv, const RowFormat& format, char delimiter);
  std::optional<std::vector<std::string>> split(size_t row) const;
  void find_keys();

  DataText data_;
  bool csv_ = false;
  std::vector<Row> rows_;
  CsvLayout layout_;
  std::unordered_map<std::string, size_t> keys_;  // of JSON Lines: the column of each
  size_t text_column_ = 0;
};

}  // namespace dbsa
