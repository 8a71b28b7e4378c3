// dbsa-pipe validate: everything short of computing.
#include <filesystem>

#include "commands.h"
#include "commands/data_sight.h"
#include "commands/edit_preview.h"
#include "commands/encode_view.h"
#include "commands/findings.h"
#include "config/exit_code.h"
#include "host/needs.h"
#include "json_output.h"
#include "options.h"
#include "pipeline/model/model_fit.h"
#include "pipeline/record/record.h"
#include "session.h"
#include "terminal/sudden_end.h"
#include "terminal/units.h"

namespace dbsa::cli {

CommandLine validate_command_line() {
  CommandLine line(
      {"validate", "PIPELINE",
       "Check a pipeline file and all that it names: everything short of computing.",
       "Checks keys, values and plugins, the model's configuration, weights and "
       "tokenizer, the data\nfiles, the blocks that would be made, and that every query fits the "
       "model's positions beside the\nblocks that are selected for it. Every fault is "
       "a line; of each data file up to 20 are listed.\nPrints "
       "how often each label stands, and how many tokens demonstrations and queries have; --json "
       "has\nall labels.",
       "dbsa-pipe validate pipeline.toml\n"
       "dbsa-pipe validate pipeline.toml --set selection.count=16 --json"});
  line.arguments({"PIPELINE"}, 1);
  line.flag("skip-queries", "do not check that each query can be answered");
  add_pipeline_options(line);
  add_output_options(line);
  return line;
}
namespace {

// "block_size = 50, seed = 0": a stage's keys but its plugin.
std::string stage_values(const nlohmann::json& table) {
  std::string text;
  for (const auto& [key, value] : table.items()) {
    if (key == "plugin") continue;
    const bool path = value.is_string() && value.get_ref<const std::string&>().starts_with("/");
    text += (text.empty() ? "" : ", ") + key + " = " +
            (path ? nlohmann::json(shown_path(value)).dump() : value.dump());
  }
  return text;
}

void print_findings(const Session& session, const Findings& findings, const DataSight& sight,
                    Terminal& terminal) {
  terminal.out(terminal.out_style(Style::kGreen, "ok"));
  terminal.out("");
  Table stages({{"stage"}, {"plugin"}, {"version"}, {"configuration"}});
  for (const host::ResolvedStage& stage : session.resolved().stages) {
    const std::string kind(host::kind_name(stage.kind));
    stages.add({kind, stage.manifest->id, stage.manifest->version,
                stage_values(session.resolved().json.at(kind))});
  }
  stages.print(terminal);
  terminal.out("");
  const CheckedData& data = findings.data;
  const LabelCoverage coverage = cover_labels(data);
  terminal.out("model  " + findings.model.model_type + ", " +
               counted(findings.model.layers, "layer") + ", " +
               counted(parameter_count(findings.model), "parameter"));
  terminal.out("data   " +
               counted(static_cast<int64_t>(data.demonstrations().size()), "demonstration") + ", " +
               counted(static_cast<int64_t>(data.labels().size()), "label") + ", " +
               counted_queries(static_cast<int64_t>(data.queries.size())) +
               (coverage.labelled() > 0
                    ? ", which expect " + human_count(coverage.covered()) + " of the labels"
                    : ""));
  print_data_sight(sight, terminal);
  if (findings.truncated > 0)
    terminal.out("       " + counted_queries(findings.truncated) +
                 " cut to the model's positions (data.truncate)");
  if (!findings.pool)
    terminal.out("pool   not built: it needs embeddings, and validate does not compute any");
  else
    terminal.out("pool   " + counted(findings.blocks(), "block") + ", " +
                 counted(findings.tokens(), "token"));
}

// What is sound, but not to be run on this machine, or hardly what was meant.
std::vector<std::string> warnings_of(const Session& session, const Findings& findings,
                                     const DataSight& sight) {
  std::vector<std::string> warnings = find_idle_keys(session.resolved());
  const auto warn = [&](const std::string& pointer, const std::string& text) {
    warnings.push_back(session.resolved().fault(pointer, text).message);
  };
  const Settings& settings = findings.settings;
  for (const std::string& warning : model_warnings(settings, findings.model, *findings.tokenizer))
    warnings.push_back(warning);
  const CheckedData& data = findings.data;
  for (std::string& doubt :
       data_warnings(session.resolved(), settings, data, sight.validity, *findings.tokenizer))
    warnings.push_back(std::move(doubt));
  if (findings.blocks() > 1 && findings.pool->anchor_blocks >= findings.blocks())
    warn("/mask_pattern/plugin", "gives every query the first " +
                                     counted(findings.pool->anchor_blocks, "block") +
                                     ", and the pool has " + std::to_string(findings.blocks()) +
                                     ": every query is shown all of them");
  for (const host::ResolvedStage& stage : session.resolved().stages)
    if (const Status needs = host::check_needs(*stage.manifest); !needs.ok())
      warnings.push_back(stage.manifest->id + " cannot run here: " + needs.error().message);
  return warnings;
}

nlohmann::ordered_json edit_to_json(const std::optional<EncodeEstimate>& edit) {
  if (!edit) return nullptr;
  nlohmann::ordered_json out = change_to_json(edit->change);
  if (out.is_null()) out = nlohmann::ordered_json::object();
  out["blocks_to_encode"] = edit->blocks_to_encode;
  out["tokens_to_encode"] = edit->tokens_to_encode;
  out["encoded_because"] = reasons_to_json(edit->reasons);
  out["retired_blocks"] = edit->retired_blocks;
  return out;
}

nlohmann::ordered_json findings_to_json(const Session& session, const Findings& findings,
                                        const DataSight& sight,
                                        const std::optional<EncodeEstimate>& edit) {
  using nlohmann::ordered_json;
  ordered_json stages = ordered_json::array();
  for (const host::ResolvedStage& stage : session.resolved().stages)
    stages.push_back({{"stage", host::kind_name(stage.kind)},
                      {"id", stage.manifest->id},
                      {"version", stage.manifest->version},
                      {"revision", stage.manifest->revision}});
  return {{"ok", true},
          {"faults", ordered_json::array()},
          {"warnings", warnings_of(session, findings, sight)},
          {"config", ordered_json(session.resolved().json)},
          {"plugins", std::move(stages)},
          {"model",
           {{"family", findings.model.model_type},
            {"layers", findings.model.layers},
            {"parameters", parameter_count(findings.model)}}},
          {"demonstrations", findings.data.demonstrations().size()},
          {"labels", findings.data.labels().size()},
          {"queries", findings.data.queries.size()},
          {"labels_covered", cover_labels(findings.data).covered()},
          {"truncated", findings.truncated},
          {"data", data_sight_to_json(sight)},
          {"blocks", findings.blocks()},
          {"tokens", findings.tokens()},
          {"edit", edit_to_json(edit)}};
}

// With --json the faults are the document; without, they are errors as everywhere.
int report(const Error& error, const CommandLine& line, Terminal& terminal) {
  if (!line.has("json")) return fail(terminal, error);
  print_document("validation", {{"ok", false}, {"faults", message_lines(error)}}, terminal);
  return exit_code(error.code);
}

}  // namespace

int validate_command(Words words, Terminal& terminal) {
  CommandLine line = validate_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  terminal.set_quiet(line.has("quiet"));
  set_phase("checking the pipeline");
  const Result<std::unique_ptr<Session>> session = Session::open(line, terminal);
  if (!session.ok()) return report(session.error(), line, terminal);
  const auto query_checks = line.has("skip-queries") ? QueryChecks::kNone : QueryChecks::kEach;
  const Result<Findings> findings = find_out(**session, Written::kStoreAndRecord, query_checks);
  if (!findings.ok()) return report(findings.error(), line, terminal);
  const Status queries = query_checks == QueryChecks::kNone
                             ? Status()
                             : query_faults(findings->settings, findings->data);
  if (!queries.ok()) return report(queries.error(), line, terminal);
  const auto edit = preview_edit(**session, *findings);
  if (!edit.ok()) return report(edit.error(), line, terminal);
  const DataSight sight = look_at_data(*findings);
  if (line.has("json"))
    print_document("validation", findings_to_json(**session, *findings, sight, *edit), terminal);
  else
    print_findings(**session, *findings, sight, terminal);
  if (*edit)
    for (const std::string& said : edit_lines(**edit)) terminal.note(said);
  for (const std::string& warning : warnings_of(**session, *findings, sight))
    terminal.warning(warning);
  return 0;
}

}  // namespace dbsa::cli
