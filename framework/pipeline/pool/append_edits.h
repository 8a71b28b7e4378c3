// What becomes of a pool's blocks when its demonstrations change and block_grouper.edits is
// "append": no block is encoded again because another one is.
//
//   before   a b c d     d was encoded behind a, b and c
//   edit     a b c'd     c' has other tokens than c
//   after    a b d c'    c' was encoded behind a, b and d; c is retired: d has seen it
//
// Blocks that every query is given (the mask pattern's anchors) must begin the pool, so one that
// takes the place of another stays there, and is encoded as if those after it were not there.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "host/mask_pattern.h"
#include "pipeline/pool/pool.h"

namespace dbsa {

// A pool as it was, its blocks in the order in which they were encoded.
struct EncodedBlocks {
  std::vector<std::vector<int32_t>> token_ids;
  std::vector<BlockPlan> plans;
  std::vector<int64_t> indices;  // of each block that queries are given, in the pool's order
};

// A block that the pool should have. They stand as before: those of the pool, then new ones.
struct WantedBlock {
  std::span<const int32_t> token_ids;
  std::optional<int64_t> source;  // the pool's block that it was; none: a new one
};

struct AppendedEdits {
  std::vector<int64_t> line;  // of the wanted blocks, in the pool's new order
  // Without `edits`, `hash` and keys. Retired blocks that no block of the pool has seen, itself or
  // through others, are left out.
  PoolHistory history;
};

// fixed: how many blocks every query is given, a prefix included. Errors: the mask's.
Result<AppendedEdits> append_edits(const host::MaskPattern& mask, EncodePositions positions,
                                   int64_t fixed, const EncodedBlocks& before,
                                   std::span<const WantedBlock> wanted);

}  // namespace dbsa
