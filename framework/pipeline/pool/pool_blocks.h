// From demonstrations to blocks of tokens.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "icl/blocks.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_parts.h"
#include "pipeline/pool/regroup.h"

namespace dbsa {

// The blocks of demonstrations: what stood before, then new ones, which `kept` gets, too. hashes:
// of the demonstrations. previous: the pool that keeps its blocks, or nullptr.
Result<Assignment> deal_demonstrations(const PoolParts& parts, const PromptFormat& format,
                                       std::span<const Example> demonstrations,
                                       std::span<const std::string> hashes, const Pool* previous);

// groups: of indices of demonstrations. The prefix, where there is one, comes first.
Result<std::vector<Block>> tokenise_blocks(const PoolParts& parts, const PromptFormat& format,
                                           std::span<const Example> demonstrations,
                                           std::span<const std::vector<int64_t>> groups);

}  // namespace dbsa
