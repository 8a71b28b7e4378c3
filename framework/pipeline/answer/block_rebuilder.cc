#include "pipeline/answer/block_rebuilder.h"

#include <string>
#include <utility>

namespace dbsa {

Result<int64_t> BlockRebuilder::rebuild(std::span<const BlockUse> uses) {
  const std::lock_guard lock(mutex_);
  const std::vector<int64_t> encoded = pool_->pool.encoded_indices();
  std::vector<int64_t> wanted;
  for (const BlockUse& use : uses) {
    wanted.push_back(encoded[static_cast<size_t>(use.block)]);
    DBSA_RETURN_IF_ERROR(drop_damaged(use));
  }
  const std::vector<EncodeBlock>& blocks = pool_->planned;
  Encoder encoder = make_encoder_();
  DBSA_ASSIGN_OR_RETURN(EncodeNeed need, encoder.need(blocks, wanted));
  if (need.blocks.size() > 1)
    services_.log(host::LogLevel::kWarning,
                  std::to_string(need.blocks.size()) +
                      " blocks are missing from the store; encoding them (" +
                      std::to_string(need.tokens) + " tokens) first");
  const auto count = static_cast<int64_t>(need.blocks.size());
  DBSA_RETURN_IF_ERROR(encoder.encode(blocks, std::move(need), nullptr, /*keep_in_memory=*/true));
  return count + encoder.rebuilt();  // these were found damaged on the way
}

Status BlockRebuilder::drop_damaged(const BlockUse& use) {
  const KvKey& key = pool_->block(use.block).key;
  DBSA_ASSIGN_OR_RETURN(const bool stored, store_.contains(key));
  if (!stored) return {};
  const Result<std::shared_ptr<OpenBlock>> block = cache_.open(key, pool_->length(use.block));
  Status sound = block.ok() ? (*block)->verify_content(use.layers) : Status(block.error());
  if (sound.ok()) return {};
  if (sound.error().code == ErrorCode::kNotFound) return {};  // gone meanwhile
  if (sound.error().code != ErrorCode::kCorrupt) return sound;
  services_.log(host::LogLevel::kWarning, "block " + key.hex() + ": " + sound.error().message +
                                              "; it is encoded again and the query repeated");
  return cache_.discard(key);
}

}  // namespace dbsa
