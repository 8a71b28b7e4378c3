// Plugins with their defaults, as a pipeline would load them. --plugin_path says from where.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/support/bench.h"
#include "host/attention_backend.h"
#include "host/host_services.h"
#include "host/plugin_registry.h"

namespace dbsa::bench {

// Whether --backend is one that runs on a GPU.
bool on_gpu();

class Plugins {
 public:
  explicit Plugins(int threads);

  host::PluginRegistry& registry() { return registry_; }
  host::HostServices& services() { return services_; }

  // Wrapper: host::AttentionBackend, host::KvStore, ... config: what differs from the defaults.
  template <typename Wrapper>
  Wrapper create(int32_t kind, const std::string& name,
                 nlohmann::json config = nlohmann::json::object()) {
    return must(Wrapper::create(loaded(kind, name, config), services_, config));
  }
  // The attention backend that --backend names; of the CPU's the code path that --instructions
  // says.
  host::AttentionBackend backend();

 private:
  host::LoadedPlugin loaded(int32_t kind, const std::string& name, nlohmann::json& config);

  host::PluginRegistry registry_;
  host::HostServices services_;
};

}  // namespace dbsa::bench
