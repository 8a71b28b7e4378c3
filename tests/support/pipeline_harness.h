// An Pipeline on a pipeline file, with everything it borrows.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "pipeline/pipeline.h"

namespace dbsa {

// Lets this process keep what it remembers of models in a folder that goes with it: the user's
// cache takes no part. PipelineHarness does it by itself.
void use_own_cache();

class PipelineHarness {
 public:
  // Keys set over the file, as --set does: {"selection.ratio", "0.5"}.
  using Overrides = std::vector<std::pair<std::string, std::string>>;

  // Fails as `dbsa-pipe` would, with the same messages.
  static Result<std::unique_ptr<PipelineHarness>> open(const std::string& pipeline_path,
                                                       const Overrides& overrides = {},
                                                       int threads = 2);

  Pipeline& pipeline() { return *pipeline_; }
  host::HostServices& services() { return *services_; }
  // Warnings logged so far.
  const std::vector<std::string>& warnings() const { return *warnings_; }

 private:
  PipelineHarness() = default;
  std::unique_ptr<std::vector<std::string>> warnings_;
  std::unique_ptr<host::HostServices> services_;
  std::unique_ptr<host::PluginRegistry> registry_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace dbsa
