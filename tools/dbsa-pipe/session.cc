#include "session.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/absolute_path.h"
#include "config/json_pointer.h"
#include "config/json_text.h"
#include "config/read_file.h"
#include "config/toml_document.h"
#include "pipeline/settings/layers.h"
#include "sweep/sweep.h"
#include "terminal/cancel.h"
#include "terminal/sudden_end.h"
#include "text/utf8.h"

namespace dbsa::cli {

const char* const kProgramVersion = DBSA_VERSION;

namespace {

// --set key=value
Status apply_settings(const CommandLine& line, TomlDocument& document) {
  DBSA_RETURN_IF_ERROR(set_over(line.texts("set"), document));
  // Has its own option, because it is where everybody's records differ.
  if (line.help().name == "run" && line.has("output")) {
    const std::string given = line.text("output");
    if (given.empty() || utf8::find_invalid(given))
      return Error{ErrorCode::kConfig,
                   std::string("--output: expected the name of a folder, found ") +
                       (given.empty() ? "an empty text" : "a text that is not UTF-8"),
                   ""};
    const std::string folder = absolute_path(given);
    DBSA_RETURN_IF_ERROR(document.set("output.directory", nlohmann::json(folder).dump()));
  }
  return {};
}

}  // namespace

Result<host::HostOptions> host_options(const CommandLine& line, Terminal& terminal) {
  host::HostOptions options;
  if (const std::optional<int64_t> threads = line.number("threads")) {
    if (*threads < 1 || *threads > 4096)
      return Error{ErrorCode::kConfig,
                   "--threads: must be between 1 and 4096, got " + std::to_string(*threads), ""};
    options.threads = static_cast<int>(*threads);
  }
  options.log_level = line.has("verbose") ? host::LogLevel::kDebug : host::LogLevel::kWarning;
  options.log_sink = [&terminal](host::LogLevel level, std::string_view text) {
    if (level == host::LogLevel::kError)
      terminal.error(text);
    else if (level == host::LogLevel::kWarning)
      terminal.warning(text);
    else
      terminal.note(text);
  };
  return options;
}

Result<host::PluginRegistry> discover_plugins(const CommandLine& line) {
  std::error_code absent;
  for (const std::string& folder : line.texts("plugin-path"))
    if (!std::filesystem::is_directory(folder, absent))
      return Error{ErrorCode::kEnvironment,
                   "--plugin-path " + folder + ": no such folder; expected one with *.plugin.toml",
                   ""};
  return host::PluginRegistry::discover(host::plugin_search_path(line.texts("plugin-path")));
}

void warn_of_refused_plugins(const CommandLine& line, const host::PluginRegistry& registry,
                             Terminal& terminal, std::string_view said) {
  const std::vector<std::string> given = host::given_plugin_folders(line.texts("plugin-path"));
  std::set<std::string> told;  // two copies of one plugin have one cause
  for (const host::FailedPlugin& failed : registry.failed()) {
    const std::string folder = std::filesystem::path(failed.path).parent_path().string();
    if (std::find(given.begin(), given.end(), folder) == given.end()) continue;
    if (said.find(failed.cause) != said.npos) continue;
    if (told.insert(failed.cause).second) terminal.warning("plugin not used: " + failed.cause);
  }
}

namespace {

// earlier: filled in where the line names a record.
Result<TomlDocument> pipeline_of(const CommandLine& line, std::optional<EarlierRecord>& earlier) {
  const bool replay = line.help().name == "run" && line.has("record");
  if (line.help().name == "run" && replay == line.has("PIPELINE"))
    return Error{ErrorCode::kConfig,
                 "dbsa-pipe run: expected either PIPELINE or --record RECORD; see `dbsa-pipe run "
                 "--help`",
                 ""};
  if (replay) {
    DBSA_ASSIGN_OR_RETURN(earlier, EarlierRecord::read(line.text("record")));
    return earlier->pipeline();
  }
  const std::string path = line.text("PIPELINE");
  DBSA_ASSIGN_OR_RETURN(TomlDocument document, TomlDocument::load(path));
  if (is_sweep_file(document))
    return Error{ErrorCode::kConfig,
                 path + ": expected a pipeline file, found a sweep file; use `dbsa-pipe sweep`",
                 ""};
  return document;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(host::HostOptions options, host_options(line, terminal));
  std::optional<EarlierRecord> earlier;
  DBSA_ASSIGN_OR_RETURN(TomlDocument document, pipeline_of(line, earlier));
  DBSA_RETURN_IF_ERROR(apply_settings(line, document));
  DBSA_ASSIGN_OR_RETURN(host::PluginRegistry registry, discover_plugins(line));
  std::unique_ptr<Session> session(new Session(std::move(options), std::move(registry)));
  // An encoded pool is answered from without its data.
  const bool answers =
      line.help().name == "query" || (line.help().name == "explain" && line.has("query"));
  Result<host::ResolvedPipeline> resolved =
      host::resolve_pipeline(std::move(document), session->registry_,
                             answers ? host::NamedFiles::kModel : host::NamedFiles::kAll);
  warn_of_refused_plugins(line, session->registry_, terminal,
                          resolved.ok() ? "" : resolved.error().message);
  if (!resolved.ok()) return std::move(resolved).error();
  session->resolved_ = std::move(resolved).value();
  session->earlier_ = std::move(earlier);
  session->open_options_.rehash_weights = line.has("verify");
  host::offer_plugins(session->services_, session->registry_);
  DBSA_RETURN_IF_ERROR(host::check_plugins(session->resolved_, session->registry_));
  return session;
}

Result<std::vector<PluginRecord>> Session::plugin_records() const {
  std::vector<PluginRecord> records;
  const auto add = [&](const std::string& stage, const host::Manifest& manifest) -> Status {
    DBSA_ASSIGN_OR_RETURN(std::string hash, host::plugin_file_hash(manifest));
    records.push_back({stage, manifest.id, manifest.version, manifest.revision,
                       std::filesystem::path(manifest.library_path).filename().string(),
                       std::move(hash)});
    return {};
  };
  for (const host::ResolvedStage& stage : resolved_.stages) {
    const host::Manifest& manifest = *stage.manifest;
    DBSA_RETURN_IF_ERROR(add(std::string(host::kind_name(stage.kind)), manifest));
    for (const host::InnerPlugin& inner : stage.inner)
      DBSA_RETURN_IF_ERROR(add(dotted_name(inner.pointer), *inner.manifest));
  }
  return records;
}

int with_session(CommandLine& line, Words words, Terminal& terminal, Work work) {
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  terminal.set_quiet(line.has("quiet"));
  set_phase("reading the pipeline file");
  Result<std::unique_ptr<Session>> session = Session::open(line, terminal);
  if (!session.ok()) return fail(terminal, session.error());
  const CancelOnSignal cancel((*session)->services());
  const Status status = work(**session, line, terminal);
  if (!status.ok()) return fail(terminal, (*session)->resolved().located(status.error()));
  return 0;
}

std::string shown_path(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path near =
      std::filesystem::absolute(path, failed)
          .lexically_proximate(std::filesystem::current_path(failed));
  if (failed || near.empty() || near.is_absolute() || *near.begin() == "..") return path;
  return near.string();
}

}  // namespace dbsa::cli
