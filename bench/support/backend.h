// The CPU backend, as a pipeline would load it. --instructions and --plugin_path choose.
#pragma once

#include <string>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "host/plugin_registry.h"

namespace dbsa::bench {

class Backend {
 public:
  explicit Backend(int threads);
  host::AttentionBackend* operator->() { return &backend_; }
  host::AttentionBackend& operator*() { return backend_; }

 private:
  host::AttentionBackend open();

  host::HostServices services_;
  host::PluginRegistry registry_;
  host::AttentionBackend backend_;
};

}  // namespace dbsa::bench
