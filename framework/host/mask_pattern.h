// host::MaskPattern: a mask pattern plugin as the framework uses it. See dbsa/mask_pattern.h.
#pragma once

#include <dbsa/sdk/mask_pattern.h>

#include <span>
#include <vector>

#include "host/instance.h"

namespace dbsa::host {

class MaskPattern {
 public:
  static Result<MaskPattern> create(const LoadedPlugin& plugin, HostServices& services,
                                    const nlohmann::json& config);
  const std::string& plugin_id() const { return instance_.plugin().id; }

  // What `block` sees: ascending, disjoint, inside the blocks, all its own tokens last. [any]
  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths, int64_t block) const;
  // How many blocks at the start of the pool every query is given, >= 0. [any]
  Result<int64_t> anchor_blocks() const;

 private:
  explicit MaskPattern(Instance instance) : instance_(std::move(instance)) {}
  Instance instance_;
};

}  // namespace dbsa::host
