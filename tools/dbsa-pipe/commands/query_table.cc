#include "commands/query_table.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <utility>

#include "commands/run_answers.h"
#include "config/absolute_path.h"
#include "config/file_calls.h"
#include "pipeline/record/journal.h"
#include "pipeline/record/journal_identity.h"
#include "terminal/sudden_end.h"

namespace dbsa::cli {
namespace {

constexpr const char* kStream = "-";

Status check_table_options(const CommandLine& line) {
  const auto refuse = [](const std::string& what) {
    return Error{ErrorCode::kConfig, "dbsa-pipe query: " + what, ""};
  };
  if (!line.has("input"))
    return refuse("expected --input with --output and --fresh; `--input -` reads standard input");
  if (line.has("TEXT")) return refuse("expected either TEXT or --input, got both");
  if (line.has("json"))
    return refuse(
        "expected either --json or --input, got both; --output FILE.jsonl writes objects");
  if (line.has("fresh") && (!line.has("output") || line.text("output") == kStream))
    return refuse("expected --output FILE with --fresh: answers are kept only beside a file");
  return {};
}

// All of standard input. cancelled() ends the reading when a signal has come in.
Result<std::string> read_stream(const std::function<bool()>& cancelled) {
  std::string bytes;
  std::array<char, 65536> chunk;
  while (true) {
    const ssize_t length = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (cancelled())
      return Error{ErrorCode::kCancelled, "stopped while reading standard input", ""};
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return file_error("standard input", "be read", errno);
    if (length == 0) return bytes;
    bytes.append(chunk.data(), static_cast<size_t>(length));
    if (bytes.size() > kMaxDataBytes)
      return Error{ErrorCode::kConfig,
                   "standard input: expected at most " + std::to_string(kMaxDataBytes) +
                       " bytes, found more; give it in parts",
                   ""};
  }
}

TableFormat format_of(const InputTable& input) {
  if (!input.is_csv()) return TableFormat::kJsonLines;
  return input.layout().delimiter == '\t' ? TableFormat::kTsv : TableFormat::kCsv;
}

}  // namespace

Result<TableQueries> TableQueries::read(Session& session, const CommandLine& line) {
  DBSA_RETURN_IF_ERROR(check_table_options(line));
  DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(session.resolved().json));
  const DataSettings& data = settings.data;
  const bool stream = line.text("input") == kStream;
  std::optional<TableOutput> output;
  if (line.has("output") && line.text("output") != kStream) {
    DBSA_ASSIGN_OR_RETURN(output, table_output("--output", line.text("output"),
                                               stream ? "" : line.text("input"), data));
  }
  const RowFormat format = {stream ? "standard input" : line.text("input"), data.text,
                            data.label_field, LabelPolicy::kOptional, data.names};
  Result<InputTable> input = Error{};
  if (stream) {
    DBSA_ASSIGN_OR_RETURN(std::string bytes,
                          read_stream([&session] { return session.services().cancelled(); }));
    input = InputTable::parse(std::move(bytes), format, data.delimiter);
  } else {
    input = InputTable::load(format, data.delimiter);
  }
  if (!input.ok()) return std::move(input).error();
  if (data.on_error == OnError::kFail)
    if (std::string faults = describe_faults(input->rows(), format.name); !faults.empty())
      return Error{ErrorCode::kConfig, std::move(faults), ""};
  return TableQueries(format.name, std::move(input).value(), std::move(output));
}

Status TableQueries::answer(Pipeline& pipeline, Session& session, const CommandLine& line,
                            Terminal& terminal) const {
  RunRecord record;
  record.program_version = kProgramVersion;
  record.pipeline_path = session.document().name();
  DBSA_ASSIGN_OR_RETURN(record.plugins, session.plugin_records());
  DBSA_ASSIGN_OR_RETURN(record.identity, pipeline.identity(""));
  record.model = pipeline.model_info();
  describe_pool(pipeline.pool(), record.encode);
  const AnswerTable table(input_, output_ ? output_->format : format_of(input_));
  note_names(table, terminal);
  const LabelNames& names = pipeline.settings().data.names;
  AnswerJob job;
  job.name = name_;
  job.queries = input_.rows();
  job.lost = output_ ? "no table is written" : "the table is not whole";
  if (output_) {
    const std::filesystem::path path = absolute_path(output_->path);
    DBSA_RETURN_IF_ERROR(make_folders(path.parent_path().string()));
    job.journal.path = table_journal_path(output_->path);
    job.journal.identity = journal_identity(record, input_.rows());
    job.journal.fresh = line.has("fresh");
  } else {
    terminal.out_bytes(table.head());
    job.answered = [&, row = size_t{0}](const QueryRecord& query) mutable {
      terminal.out_bytes(table.row(row++, table_answer(query, names)));
      return !terminal.out_failed();
    };
  }
  DBSA_ASSIGN_OR_RETURN(RunAnswers answers,
                        answer_queries(pipeline, session, std::move(job), terminal, record));
  if (output_) {
    set_phase("writing the table");
    DBSA_RETURN_IF_ERROR(write_table(*output_, input_, table, record.queries, names));
    terminal.note("answers    " + shown_path(output_->path));
    remove_journal(answers, terminal);
  }
  return answers.items;
}

}  // namespace dbsa::cli
