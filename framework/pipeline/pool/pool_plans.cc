#include "pipeline/pool/pool_plans.h"

#include <string>
#include <utility>

#include "model/config/model_spec.h"
#include "pipeline/encode/block_key.h"

namespace dbsa {
namespace {

// The model must have been made for the distances a block's rows meet.
Status check_positions(const PoolParts& parts, const BlockPlan& plan, int64_t block,
                       int64_t length) {
  const ModelConfig& model = parts.model;
  const bool global = parts.settings.encode_positions == EncodePositions::kGlobal;
  const int64_t needed = global ? plan.start + length : positions_needed(plan, length);
  if (needed > model.max_positions)
    return Error{ErrorCode::kConfig,
                 "block " + std::to_string(block) + " needs " + std::to_string(needed) +
                     (global ? " positions (encode_positions = \"global\")"
                             : " positions, with all that it sees,") +
                     " and the model has " + std::to_string(model.max_positions) +
                     (global ? "; use encode_positions = \"packed\" or fewer demonstrations"
                             : "; lower block_grouper.block_size or let blocks see fewer others"),
                 "/mask_pattern"};
  return {};
}

// What the mask pattern shows each block of these.
Result<std::vector<BlockPlan>> plans_of(const PoolParts& parts,
                                        std::span<const std::vector<int32_t>> token_ids) {
  std::vector<int64_t> lengths;
  for (const auto& ids : token_ids) lengths.push_back(static_cast<int64_t>(ids.size()));
  const std::vector<int64_t> starts = block_starts(lengths);
  std::vector<BlockPlan> plans;
  for (size_t i = 0; i < lengths.size(); ++i) {
    DBSA_ASSIGN_OR_RETURN(BlockPlan plan,
                          plan_block(parts.mask, lengths, starts, static_cast<int64_t>(i),
                                     parts.settings.encode_positions));
    plans.push_back(std::move(plan));
  }
  return plans;
}

// token_ids, plans: [blocks] in the order in which they are encoded.
Result<std::vector<EncodeBlock>> key_blocks(const PoolParts& parts,
                                            std::vector<std::vector<int32_t>> token_ids,
                                            std::vector<BlockPlan> plans) {
  const KvKey common = kv_digest(parts.identities.kv);
  // Blocks whose rows see farther than a window are other blocks without it.
  nlohmann::json with_windows = parts.identities.kv;
  with_windows["windows"] = layer_identity(make_model_spec(parts.model));
  const KvKey windowed = kv_digest(with_windows);
  std::vector<EncodeBlock> blocks;
  std::vector<KvKey> keys;
  blocks.reserve(plans.size());
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const auto length = static_cast<int64_t>(token_ids[i].size());
    if (uses_stored_kv(parts.settings))
      DBSA_RETURN_IF_ERROR(check_positions(parts, plans[i], index, length));
    const bool cut = parts.model.sliding_window &&
                     positions_needed(plans[i], length) > *parts.model.sliding_window;
    keys.push_back(block_key(cut ? windowed : common, token_ids[i], plans[i], index, keys));
    blocks.push_back({keys.back(), std::move(token_ids[i]), std::move(plans[i])});
  }
  return blocks;
}

}  // namespace

std::vector<std::vector<int32_t>> encoded_token_ids(const Pool& pool) {
  std::vector<std::vector<int32_t>> ids;
  for (const PoolBlock* block : pool.encoded_blocks()) ids.push_back(block->token_ids);
  return ids;
}

Result<std::vector<BlockPlan>> plans_of(const PoolParts& parts, const Pool& pool) {
  if (pool.history) return pool.history->plans;
  return plans_of(parts, encoded_token_ids(pool));
}

Result<std::vector<EncodeBlock>> encode_blocks_of(const PoolParts& parts, const Pool& pool) {
  DBSA_ASSIGN_OR_RETURN(std::vector<BlockPlan> plans, plans_of(parts, pool));
  return key_blocks(parts, encoded_token_ids(pool), std::move(plans));
}

void set_block_keys(std::span<const EncodeBlock> encoded, Pool& pool) {
  for (size_t i = 0; i < encoded.size(); ++i) {
    PoolBlock& block = pool.history
                           ? block_at(std::span(pool.blocks), std::span(pool.history->retired),
                                      pool.history->order[i])
                           : pool.blocks[i];
    block.key = encoded[i].key;
  }
}

Result<std::vector<EncodeBlock>> plan_pool(const PoolParts& parts, const Pool& pool) {
  DBSA_ASSIGN_OR_RETURN(std::vector<EncodeBlock> blocks, encode_blocks_of(parts, pool));
  const std::vector<const PoolBlock*> made = pool.encoded_blocks();
  for (size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].key != made[i]->key)
      return Error{
          ErrorCode::kConfig,
          "pool " + pool.id +
              ": its blocks were computed by another version of the program, or the model's "
              "windows were others; run `dbsa-pipe encode` again (blocks that stay the same are "
              "reused)",
          ""};
  return blocks;
}

}  // namespace dbsa
