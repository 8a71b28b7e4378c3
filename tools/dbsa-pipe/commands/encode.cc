// dbsa-pipe encode: only stage one.
#include "commands.h"
#include "commands/checks.h"
#include "commands/encode_view.h"
#include "host/store_keys.h"
#include "json_output.h"
#include "options.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine encode_command_line() {
  CommandLine line({"encode", "PIPELINE", "Encode a pool of demonstrations into the store.",
                    "States what it takes, computes the KV of the blocks that the store lacks, and "
                    "publishes\nthe pool for `dbsa-pipe query`. Where decoding.fit_temperature or "
                    "decoding.scorer = \"batch\"\nneed it, the demonstrations of data.held_out are "
                    "answered and the result is kept. Ctrl-C stops cleanly; running it "
                    "again goes on from there.",
                    "dbsa-pipe encode pipeline.toml\n"
                    "dbsa-pipe encode pipeline.toml --regroup --json"});
  line.arguments({"PIPELINE"}, 1);
  add_pipeline_options(line);
  add_model_options(line);
  line.flag("regroup", "deal demonstrations into blocks as a new store would");
  add_output_options(line);
  return line;
}
namespace {

Status encode(Session& session, const CommandLine& line, Terminal& terminal) {
  DBSA_RETURN_IF_ERROR(read_settings(session.resolved().json));  // what is wrong in the file
  if (!host::store_keys(session.resolved()).keeps())
    return Error{ErrorCode::kConfig,
                 "this store is not kept between runs, so encoding alone would be lost; use "
                 "`dbsa-pipe run`, or a store with a path",
                 "/kv_store/plugin"};
  DBSA_RETURN_IF_ERROR(check_folders(session.resolved(), Written::kStore));
  set_phase("opening the model");
  terminal.set_progress("opening the model ...");
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Pipeline> pipeline, session.open_pipeline());
  set_phase("encoding the pool");
  terminal.set_progress("reading the pool ...");
  EncodeView view(terminal);
  Result<EncodeReport> report = pipeline->encode(line.has("regroup"), view.observer());
  if (!report.ok() && report.error().code == ErrorCode::kCancelled)
    return Error{ErrorCode::kCancelled, view.stopped_message(true), ""};
  if (!report.ok()) return std::move(report).error();
  DBSA_RETURN_IF_ERROR(report->pool_kept);
  view.finish(*report);
  if (line.has("json")) {
    print_document("encode", encode_to_json(*report), terminal);
    return {};
  }
  terminal.out("setup        " + human_seconds(report->setup_seconds));
  terminal.out("KV           " + human_bytes(report->kv_bytes));
  terminal.out("peak memory  " + human_bytes(peak_memory_bytes()));
  terminal.out("pool         " + shown_path(report->pool_location));
  return {};
}

}  // namespace

int encode_command(Words words, Terminal& terminal) {
  CommandLine line = encode_command_line();
  return with_session(line, words, terminal, encode);
}

}  // namespace dbsa::cli
