// query --input: the queries of a file, or of standard input, answered into a table.
#pragma once

#include <dbsa/sdk/result.h>

#include <optional>
#include <string>

#include "commands/table_output.h"
#include "icl/input_table.h"
#include "options.h"
#include "pipeline/pipeline.h"
#include "session.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

class TableQueries {
 public:
  // Reads --input whole and checks --output, before a model is opened. kConfig for options that do
  // not go together; errors of the file as load_rows, those of single rows only under
  // data.on_error = "fail".
  static Result<TableQueries> read(Session& session, const CommandLine& line);

  // Answers the rows and writes the table: a file once it is whole, standard output row by row.
  // Answers on the way to a file are kept in a journal beside it, and a command that was stopped
  // continues after them. kConfig where a row has no answer, with the errors, a line each.
  Status answer(Pipeline& pipeline, Session& session, const CommandLine& line,
                Terminal& terminal) const;

 private:
  TableQueries(std::string name, InputTable input, std::optional<TableOutput> output)
      : name_(std::move(name)), input_(std::move(input)), output_(std::move(output)) {}

  std::string name_;  // of the input, for messages
  InputTable input_;
  std::optional<TableOutput> output_;  // none: standard output, in the input's format
};

}  // namespace dbsa::cli
