// dbsa-pipe validate: everything short of computing.
#include <filesystem>

#include "checks.h"
#include "commands.h"
#include "config/exit_code.h"
#include "host/block_grouper.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "model/checkpoint.h"
#include "model/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "options.h"
#include "pipeline/pool_builder.h"
#include "session.h"
#include "units.h"

namespace dbsa::cli {
namespace {

CommandLine command_line() {
  CommandLine line({"validate", "PIPELINE",
                    "Check a pipeline file and all that it names: everything short of computing.",
                    "Checks keys, values and plugins, the model's configuration, weights and "
                    "tokenizer, the data\nfiles, and the blocks that would be made. Every fault is "
                    "a line of its own.",
                    "dbsa-pipe validate pipeline.toml\n"
                    "dbsa-pipe validate pipeline.toml --set selection.count=16 --json"});
  line.arguments({"PIPELINE"}, 1);
  add_pipeline_options(line);
  add_output_options(line);
  return line;
}

// What a sound pipeline comes to.
struct Findings {
  ModelConfig model;
  int64_t parameters = 0;
  CheckedData data;
  int64_t blocks = 0;
  int64_t tokens = 0;
};

struct CheckedModel {
  ModelConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  int64_t parameters = 0;
};

Result<CheckedModel> check_model(const std::string& folder) {
  CheckedModel model;
  ErrorList faults;
  Result<ModelConfig> config = load_model_config(folder);
  Result<Checkpoint> weights = Checkpoint::open(folder);
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::load(folder);
  if (!config.ok()) faults.add(config.error());
  if (!weights.ok()) faults.add(weights.error());
  if (config.ok() && weights.ok()) faults.add(weights->check(*config));
  if (!tokenizer.ok()) faults.add(tokenizer.error());
  if (config.ok() && tokenizer.ok()) faults.add(check_tokenizer_fits(**tokenizer, *config));
  DBSA_RETURN_IF_ERROR(faults.status());
  model.config = std::move(config).value();
  model.tokenizer = std::move(tokenizer).value();
  for (const TensorSpec& tensor : expected_tensors(model.config)) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.shape) elements *= extent;
    model.parameters += elements;
  }
  return model;
}

template <typename Wrapper>
Result<Wrapper> make_plugin(Session& session, uint32_t kind) {
  const host::ResolvedStage& stage = session.resolved().stage(kind);
  DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin plugin, session.registry().load(*stage.manifest));
  return Wrapper::create(plugin, session.services(), stage.config);
}

// Deals, tokenises and plans the blocks: finds those that the model cannot take.
Status check_pool(Session& session, const Settings& settings, const CheckedModel& model,
                  Findings& findings) {
  DBSA_ASSIGN_OR_RETURN(auto grouper,
                        make_plugin<host::BlockGrouper>(session, DBSA_KIND_BLOCK_GROUPER));
  DBSA_ASSIGN_OR_RETURN(auto mask, make_plugin<host::MaskPattern>(session, DBSA_KIND_MASK_PATTERN));
  DBSA_ASSIGN_OR_RETURN(auto retriever, make_plugin<host::Retriever>(session, DBSA_KIND_RETRIEVER));
  const PoolParts parts = {settings, model.config, KvKey{}, *model.tokenizer,  grouper,
                           mask,     retriever,    "",      session.services()};
  DBSA_ASSIGN_OR_RETURN(const BuiltPool built,
                        build_pool(parts, pool_id(session.resolved().json),
                                   findings.data.demonstrations, findings.data.labels, nullptr));
  findings.blocks = static_cast<int64_t>(built.blocks.size());
  for (const EncodeBlock& block : built.blocks)
    findings.tokens += static_cast<int64_t>(block.token_ids.size());
  return {};
}

Result<Findings> check(Session& session) {
  const Result<Settings> read = read_settings(session.resolved().json);
  if (!read.ok()) return session.resolved().located(read.error());
  const Settings& settings = *read;
  Findings findings;
  ErrorList faults;
  const auto add = [&](const Error& error) { faults.add(session.resolved().located(error)); };
  Result<CheckedModel> model = check_model(settings.model.path);
  if (!model.ok()) add(model.error());
  Result<CheckedData> data = check_data(settings);
  if (!data.ok()) add(data.error());
  DBSA_RETURN_IF_ERROR(faults.status());
  findings.data = std::move(data).value();
  // Embeddings are computed by the model or an encoder, which goes further than this command does.
  if (settings.embedding.method == EmbeddingMethod::kNone)
    if (const Status pool = check_pool(session, settings, *model, findings); !pool.ok())
      return session.resolved().located(pool.error());
  findings.model = std::move(model->config);
  findings.parameters = model->parameters;
  return findings;
}

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

void print_findings(const Session& session, const Findings& findings, Terminal& terminal) {
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
  terminal.out("model  " + findings.model.model_type + ", " +
               counted(findings.model.layers, "layer") + ", " +
               counted(findings.parameters, "parameter"));
  terminal.out("data   " +
               counted(static_cast<int64_t>(data.demonstrations.size()), "demonstration") + ", " +
               counted(static_cast<int64_t>(data.labels.size()), "label") + ", " +
               counted_queries(data.queries));
  if (findings.blocks == 0 && !data.demonstrations.empty())
    terminal.out("pool   not made: its blocks or its index need embeddings, which are computed");
  else
    terminal.out("pool   " + counted(findings.blocks, "block") + ", " +
                 counted(findings.tokens, "token"));
}

nlohmann::ordered_json findings_to_json(const Session& session, const Findings& findings) {
  using json = nlohmann::ordered_json;
  json stages = json::array();
  for (const host::ResolvedStage& stage : session.resolved().stages)
    stages.push_back({{"stage", host::kind_name(stage.kind)},
                      {"id", stage.manifest->id},
                      {"version", stage.manifest->version},
                      {"revision", stage.manifest->revision}});
  return {{"ok", true},
          {"faults", json::array()},
          {"config", json(session.resolved().json)},
          {"plugins", std::move(stages)},
          {"model",
           {{"family", findings.model.model_type},
            {"layers", findings.model.layers},
            {"parameters", findings.parameters}}},
          {"demonstrations", findings.data.demonstrations.size()},
          {"labels", findings.data.labels.size()},
          {"queries", findings.data.queries},
          {"blocks", findings.blocks},
          {"tokens", findings.tokens}};
}

// With --json the faults are the document; without, they are errors as everywhere.
int report(const Error& error, const CommandLine& line, Terminal& terminal) {
  if (!line.has("json")) return fail(terminal, error);
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (size_t begin = 0; begin <= error.message.size();) {
    const size_t end = std::min(error.message.find('\n', begin), error.message.size());
    lines.push_back(error.message.substr(begin, end - begin));
    begin = end + 1;
  }
  terminal.out(nlohmann::ordered_json{{"ok", false}, {"faults", std::move(lines)}}.dump(
      1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return exit_code(error.code);
}

}  // namespace

int validate_command(Words words, Terminal& terminal) {
  CommandLine line = command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  terminal.set_quiet(line.has("quiet"));
  const Result<std::unique_ptr<Session>> session = Session::open(line, terminal);
  if (!session.ok()) return report(session.error(), line, terminal);
  const Result<Findings> findings = check(**session);
  if (!findings.ok()) return report(findings.error(), line, terminal);
  if (line.has("json"))
    terminal.out(findings_to_json(**session, *findings).dump(1));
  else
    print_findings(**session, *findings, terminal);
  return 0;
}

}  // namespace dbsa::cli
