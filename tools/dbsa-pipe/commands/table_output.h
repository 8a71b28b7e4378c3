// Tables of answers as commands write them: `run --answers` and `query --output`.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>

#include "icl/answer_table.h"
#include "icl/input_table.h"
#include "pipeline/record/record.h"
#include "pipeline/settings/settings.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct TableOutput {
  std::string path;
  TableFormat format = TableFormat::kCsv;
};

// What an option names, checked before there is anything to write: kConfig for a name of another
// kind and for one of the files that are read, kEnvironment for a folder that cannot be written to.
// option: "--answers". input: a file that is read besides those of the settings, or "".
Result<TableOutput> table_output(const std::string& option, const std::string& path,
                                 const std::string& input, const DataSettings& data);

// What the table has of an answer. A log-probability that a journal has kept as null is minus
// infinity.
// names: of label codes, which a table has instead of names.
TableAnswer table_answer(const QueryRecord& query, const LabelNames& names);

// Says which names the input has taken.
void note_names(const AnswerTable& table, Terminal& terminal);

// Writes a row for each query, in their order; whole or not at all, packed where the name ends in
// .gz. input: what the table is of, with every query by its line. kEnvironment.
Status write_table(const TableOutput& output, const InputTable& input, const AnswerTable& table,
                   std::span<const QueryRecord> queries, const LabelNames& names);

}  // namespace dbsa::cli
