#include "tests/support/pipeline_harness.h"

#include <filesystem>

#include "config/toml_document.h"
#include "host/resolve.h"
#include "tests/support/workspace.h"

namespace dbsa {

namespace {

// Relative paths of overrides are resolved against the pipeline file, as in the file: the current
// folder, which those of --set are resolved against, is the build's.
std::string in_folder_of(const std::string& pipeline_path, const std::string& key,
                         const std::string& value) {
  const bool path = key.ends_with(".path") || key == "data.demonstrations" ||
                    key == "data.queries" || key == "data.labels" || key == "data.query_indices";
  if (!path || value.size() < 3 || value[0] != '"' || value[1] == '/') return value;
  const std::string folder = std::filesystem::path(pipeline_path).parent_path().string();
  return "\"" + folder + "/" + value.substr(1);
}

}  // namespace

void use_own_cache() {
  static const Workspace cache;
  [[maybe_unused]] static const int set = ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
}

Result<std::unique_ptr<PipelineHarness>> PipelineHarness::open(const std::string& pipeline_path,
                                                               const Overrides& overrides,
                                                               int threads) {
  use_own_cache();
  std::unique_ptr<PipelineHarness> harness(new PipelineHarness);
  harness->warnings_ = std::make_unique<std::vector<std::string>>();
  host::HostOptions options;
  options.threads = threads;
  options.log_level = host::LogLevel::kWarning;
  options.log_sink = [warnings = harness->warnings_.get()](host::LogLevel, std::string_view line) {
    warnings->emplace_back(line);
  };
  harness->services_ = std::make_unique<host::HostServices>(std::move(options));
  harness->registry_ = std::make_unique<host::PluginRegistry>(
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR}));
  DBSA_ASSIGN_OR_RETURN(TomlDocument document, TomlDocument::load(pipeline_path));
  for (const auto& [key, value] : overrides)
    DBSA_RETURN_IF_ERROR(document.set(key, in_folder_of(pipeline_path, key, value)));
  DBSA_ASSIGN_OR_RETURN(const host::ResolvedPipeline resolved,
                        host::resolve_pipeline(std::move(document), *harness->registry_));
  DBSA_RETURN_IF_ERROR(host::check_plugins(resolved, *harness->registry_));
  Result<std::unique_ptr<Pipeline>> pipeline =
      Pipeline::open(resolved, *harness->registry_, *harness->services_);
  if (!pipeline.ok()) return resolved.located(pipeline.error());
  harness->pipeline_ = std::move(pipeline).value();
  return harness;
}

}  // namespace dbsa
