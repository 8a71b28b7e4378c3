#include "pipeline/pool/encode_reasons.h"

#include <set>
#include <unordered_set>

namespace dbsa {

EncodeReasons reasons_of(const BuiltPool& built, const Pool* previous,
                         std::span<const int64_t> to_encode) {
  EncodeReasons reasons;
  if (previous == nullptr || !built.change) {
    reasons.dealt = static_cast<int64_t>(to_encode.size());
    return reasons;
  }
  std::unordered_set<KvKey, KvKeyHash> keys;
  std::set<std::vector<int32_t>> contents;
  for (const PoolBlock* block : previous->encoded_blocks()) {
    keys.insert(block->key);
    contents.insert(block->token_ids);
  }
  const std::vector<int64_t> indices = built.pool.encoded_indices();
  std::unordered_set<int64_t> added;
  for (size_t i = indices.size() - static_cast<size_t>(built.change->blocks_added);
       i < indices.size(); ++i)
    added.insert(indices[i]);
  for (const int64_t index : to_encode) {
    const EncodeBlock& block = built.blocks[static_cast<size_t>(index)];
    if (previous->kv != built.pool.kv)
      ++reasons.otherwise;
    else if (keys.contains(block.key))
      ++reasons.missing;
    else if (added.contains(index))
      ++reasons.added;
    else if (contents.contains(block.token_ids))
      ++reasons.behind;
    else
      ++reasons.changed;
  }
  return reasons;
}

}  // namespace dbsa
