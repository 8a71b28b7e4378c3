// Answers as a table: what stands in a data file, and six columns behind it.
//
//   label            the answer
//   probability      of the label, 0 to 1, six digits
//   margin           by how much that is more than the runner-up's
//   runner_up        the label that came second
//   abstained_label  the label where it is withheld (decoding.abstain_below); label is empty then
//   error            why there is no answer; the others are empty then
//
// A name that a column of the file has, in upper or lower case, becomes answer_label, and so on;
// where that is taken too, answer_label_2. CSV has the fields of the file, quoted where they must
// be. JSON Lines of JSON Lines have the objects as they are written, with the answer's members
// behind theirs; those of CSV have a string for each column.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "icl/input_table.h"

namespace dbsa {

enum class TableFormat { kCsv, kTsv, kJsonLines };

struct TableAnswer {
  std::optional<std::string> label;           // nothing with an error, or where it is withheld
  std::optional<double> probability, margin;  // no margin without a runner-up
  std::optional<std::string> runner_up;
  std::optional<std::string> abstained_label;
  std::string error;
};

class AnswerTable {
 public:
  static constexpr size_t kColumns = 6;
  static constexpr std::array<const char*, kColumns> kNames = {
      "label", "probability", "margin", "runner_up", "abstained_label", "error"};

  // CSV of a CSV file has its delimiter (a comma if that is a tab or an unusual one), its BOM and
  // its line ends; TSV the latter two. The input must outlive the table.
  AnswerTable(const InputTable& input, TableFormat format);

  // Those of kNames, as they are here.
  const std::array<std::string, kColumns>& names() const { return names_; }

  // What stands before the first row: a BOM and the names of the columns, or nothing.
  std::string head() const;
  // A row of the input with its answer, and its line end.
  std::string row(size_t index, const TableAnswer& answer) const;

 private:
  std::string csv_line(const std::vector<std::string>& fields) const;
  std::string json_line(size_t index, const TableAnswer& answer) const;

  const InputTable& input_;
  TableFormat format_;
  char delimiter_;
  bool bom_ = false;
  std::string line_end_ = "\n";
  std::vector<std::string> keys_;  // of the input's columns in JSON Lines, each once
  std::array<std::string, kColumns> names_;
};

}  // namespace dbsa
