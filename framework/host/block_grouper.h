// host::BlockGrouper: a block grouper plugin as the framework uses it. See dbsa/block_grouper.h.
#pragma once

#include <dbsa/sdk/block_grouper.h>

#include <span>
#include <string>
#include <vector>

#include "host/instance.h"

namespace dbsa::host {

class BlockGrouper {
 public:
  static Result<BlockGrouper> create(const LoadedPlugin& plugin, HostServices& services,
                                     const nlohmann::json& config);
  const std::string& plugin_id() const { return instance_.plugin().id; }

  // Demonstration indices, block by block: every index once, no empty block. The three lists have
  // one entry for each demonstration.
  Result<Blocks> group(std::span<const std::string> texts, std::span<const std::string> labels,
                       std::span<const int64_t> token_counts, int64_t block_size, uint64_t seed);

 private:
  explicit BlockGrouper(Instance instance) : instance_(std::move(instance)) {}
  Instance instance_;
};

}  // namespace dbsa::host
