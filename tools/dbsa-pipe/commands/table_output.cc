#include "commands/table_output.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "config/absolute_path.h"
#include "config/atomic_file.h"
#include "config/folder_access.h"
#include "config/gzip.h"
#include "icl/data_file.h"

namespace dbsa::cli {
namespace {

namespace fs = std::filesystem;

double probability_of(double log_probability) {
  return std::isnan(log_probability) ? 0 : std::exp(log_probability);
}

Status check_place(const std::string& name, const std::string& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (fs::exists(status) && !fs::is_regular_file(status))
    return Error{ErrorCode::kConfig,
                 name + ": expected a regular file or a new one, found another kind; name a file",
                 ""};
  const std::string folder = fs::path(absolute_path(path)).parent_path().string();
  if (const std::string fault = folder_fault(folder); !fault.empty())
    return Error{ErrorCode::kEnvironment, name + ": " + fault, ""};
  return {};
}

}  // namespace

Result<TableOutput> table_output(const std::string& option, const std::string& path,
                                 const std::string& input, const DataSettings& data) {
  const std::string name = option + " " + path;
  const std::string extension = data_extension(path);
  TableOutput output = {path, TableFormat::kCsv};
  if (extension == ".tsv") {
    output.format = TableFormat::kTsv;
  } else if (extension == ".jsonl") {
    output.format = TableFormat::kJsonLines;
  } else if (extension != ".csv") {
    return Error{ErrorCode::kConfig,
                 name +
                     ": expected a name that ends in .csv, .tsv or .jsonl, or in one of them and "
                     ".gz, found " +
                     quote_for_message(extension) + "; rename it",
                 ""};
  }
  DBSA_RETURN_IF_ERROR(check_place(name, path));
  std::error_code absent;
  for (const std::string& read :
       {input, data.demonstrations, data.queries, data.labels, data.query_indices})
    if (!read.empty() && fs::equivalent(path, read, absent))
      return Error{ErrorCode::kConfig,
                   name +
                       ": expected another file than those that are read, found one of them; "
                       "name another file",
                   ""};
  return output;
}

TableAnswer table_answer(const QueryRecord& query, const LabelNames& names) {
  TableAnswer cells;
  if (query.error) {
    cells.error = query.error->message;
    return cells;
  }
  const Answer& answer = query.answer;
  (answer.abstained ? cells.abstained_label : cells.label) = names.code_of(answer.label.text);
  cells.probability = probability_of(answer.label.log_probability);
  if (answer.runner_up) {
    cells.runner_up = names.code_of(answer.runner_up->text);
    cells.margin = *cells.probability - probability_of(answer.runner_up->log_probability);
  }
  return cells;
}

void note_names(const AnswerTable& table, Terminal& terminal) {
  for (size_t i = 0; i < AnswerTable::kColumns; ++i)
    if (const std::string& name = table.names()[i]; name != AnswerTable::kNames[i])
      terminal.note("the file has a column " + quote_for_message(AnswerTable::kNames[i]) +
                    "; the answers' is " + quote_for_message(name));
}

Status write_table(const TableOutput& output, const InputTable& input, const AnswerTable& table,
                   std::span<const QueryRecord> queries, const LabelNames& names) {
  std::string text = table.head();
  const std::vector<Row>& rows = input.rows();
  for (const QueryRecord& query : queries) {
    const auto row =
        std::lower_bound(rows.begin(), rows.end(), query.query.line,
                         [](const Row& one, int64_t line) { return one.example.line < line; });
    text += table.row(static_cast<size_t>(row - rows.begin()), table_answer(query, names));
  }
  DBSA_ASSIGN_OR_RETURN(text, packed_as_named(output.path, std::move(text)));
  return write_file_atomically(output.path, text);
}

}  // namespace dbsa::cli
