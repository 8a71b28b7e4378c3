#include "bench/support/plugins.h"

#include <gflags/gflags.h>

#include <vector>

#include "config/schema_check.h"
#include "host/resolve.h"

DEFINE_string(backend, "cpu", "attention backend: cpu or cuda");
DEFINE_string(instructions, "auto", "code path of the CPU backend");
DEFINE_string(plugin_path, DBSA_PLUGIN_DIR, "where the plugins lie");

namespace dbsa::bench {

bool on_gpu() { return FLAGS_backend == "cuda"; }

Plugins::Plugins(int threads)
    : registry_(host::PluginRegistry::discover(std::vector<std::string>{FLAGS_plugin_path})),
      services_(quiet_options(threads)) {
  host::offer_plugins(services_, registry_);
}

host::LoadedPlugin Plugins::loaded(int32_t kind, const std::string& name, nlohmann::json& config) {
  const host::Manifest* manifest = must(registry_.find(kind, name));
  apply_defaults(manifest->config_schema, config);
  return must(registry_.load(*manifest));
}

host::AttentionBackend Plugins::backend() {
  nlohmann::json config = nlohmann::json::object();
  if (FLAGS_backend == "cpu") config["instructions"] = FLAGS_instructions;
  return create<host::AttentionBackend>(DBSA_KIND_ATTENTION_BACKEND, FLAGS_backend, config);
}

}  // namespace dbsa::bench
