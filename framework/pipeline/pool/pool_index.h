// The retriever's part of a pool.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <vector>

#include "icl/prompt.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_parts.h"

namespace dbsa {

// Fills it in, from the previous pool where the documents are the same: then true. groups: the
// demonstrations of each block, by index.
Result<bool> index_pool(const PoolParts& parts, const PromptFormat& format,
                        std::span<const Example> demonstrations,
                        std::span<const std::vector<int64_t>> groups, const Pool* previous,
                        Pool& pool);

}  // namespace dbsa
