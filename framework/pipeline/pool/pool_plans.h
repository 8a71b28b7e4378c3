// What each block of a pool was encoded behind, and the keys that follow from it.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/encode/encoder.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_parts.h"

namespace dbsa {

// Of all blocks of a pool in the order in which they were encoded.
std::vector<std::vector<int32_t>> encoded_token_ids(const Pool& pool);
Result<std::vector<BlockPlan>> plans_of(const PoolParts& parts, const Pool& pool);
// With keys. kConfig for a block that needs more positions than the model has.
Result<std::vector<EncodeBlock>> encode_blocks_of(const PoolParts& parts, const Pool& pool);

// encoded: as encode_blocks_of gives them.
void set_block_keys(std::span<const EncodeBlock> encoded, Pool& pool);

// Plans and keys of an opened pool's encoded_blocks(), recomputed from its token ids. kConfig when
// they are not those of the manifest.
Result<std::vector<EncodeBlock>> plan_pool(const PoolParts& parts, const Pool& pool);

}  // namespace dbsa
