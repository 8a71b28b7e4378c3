#include "pipeline/encode_report.h"

#include "pipeline/identity/identity.h"

namespace dbsa {
namespace {

// The change of a built pool with the lines of its demonstrations; none where it kept no blocks.
std::optional<DemonstrationChange> change_of(const BuiltPool& built,
                                             std::span<const Example> demonstrations) {
  if (!built.change) return std::nullopt;
  DemonstrationChange change = {{}, built.change->added, built.change->removed};
  for (const int64_t i : built.change->edited)
    change.edited_lines.push_back(demonstrations[static_cast<size_t>(i)].line);
  return change;
}

}  // namespace

EncodeEstimate estimate_of(const BuiltPool& built, const Pool* previous,
                           std::span<const Example> demonstrations,
                           std::span<const int64_t> absent) {
  EncodeEstimate estimate;
  estimate.demonstrations = static_cast<int64_t>(built.pool.demonstrations.size());
  estimate.blocks = static_cast<int64_t>(built.pool.blocks.size());
  for (const PoolBlock& block : built.pool.blocks)
    estimate.tokens += static_cast<int64_t>(block.token_ids.size());
  estimate.blocks_to_encode = static_cast<int64_t>(absent.size());
  for (const int64_t index : absent)
    estimate.tokens_to_encode +=
        static_cast<int64_t>(built.blocks[static_cast<size_t>(index)].token_ids.size());
  estimate.change = change_of(built, demonstrations);
  estimate.reasons = reasons_of(built, previous, absent);
  if (built.pool.history)
    estimate.retired_blocks = static_cast<int64_t>(built.pool.history->retired.size());
  return estimate;
}

void describe_pool(const Pool& pool, EncodeReport& report) {
  for (const PoolLabel& label : pool.labels) report.labels.push_back(label.text);
  report.demonstrations_hash = hash_list(pool.demonstrations);
  std::vector<std::string> keys;
  for (const PoolBlock& block : pool.blocks) keys.push_back(block.key.hex());
  report.blocks_hash = hash_list(keys);
}

}  // namespace dbsa
