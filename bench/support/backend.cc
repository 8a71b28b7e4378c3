#include "bench/support/backend.h"

#include <gflags/gflags.h>

#include <vector>

#include "bench/support/bench.h"

DEFINE_string(instructions, "auto", "code path of the CPU backend");
DEFINE_string(plugin_path, DBSA_PLUGIN_DIR, "where the plugins lie");

namespace dbsa::bench {

Backend::Backend(int threads)
    : services_(quiet_options(threads)),
      registry_(host::PluginRegistry::discover(std::vector<std::string>{FLAGS_plugin_path})),
      backend_(open()) {}

host::AttentionBackend Backend::open() {
  const host::Manifest* manifest = must(registry_.find(DBSA_KIND_ATTENTION_BACKEND, "cpu"));
  return must(host::AttentionBackend::create(must(registry_.load(*manifest)), services_,
                                             {{"instructions", FLAGS_instructions}}));
}

}  // namespace dbsa::bench
