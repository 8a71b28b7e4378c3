// What each block of a pool sees while it is encoded, and where: a mask pattern's segments with
// positions. Lengths in, segments out; no dense mask anywhere.
//
// Encode positions (configuration key mask_pattern.encode_positions):
//   packed  the visible segments of a block are laid end to end from position 0 and the block
//           follows, so nothing depends on blocks it does not see, and distances while encoding
//           are those of an answer plan that holds the same blocks;
//   global  every block stands at its place in the whole pool (the paper's released code).
#pragma once

#include <dbsa/sdk/mask_pattern.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "host/mask_pattern.h"

namespace dbsa {

enum class EncodePositions { kPacked, kGlobal };

// A visible segment and the position of its first token in the block's plan.
struct PlacedSegment {
  Visible visible;
  int64_t start = 0;
};

struct BlockPlan {
  std::vector<PlacedSegment> segments;  // ascending in the pool, the block's own tokens last
  int64_t start = 0;                    // position of the block's token 0
};

// The plan of one block. lengths: [blocks] tokens; starts: [blocks] exclusive prefix sums of them,
// used under kGlobal. Cost: O(segments).
Result<BlockPlan> plan_block(const host::MaskPattern& mask, std::span<const int64_t> lengths,
                             std::span<const int64_t> starts, int64_t block,
                             EncodePositions positions);

// Exclusive prefix sums: where each block stands when all are laid end to end.
std::vector<int64_t> block_starts(std::span<const int64_t> lengths);

// The longest distance between a row and a token it sees, plus one: how many positions the model
// must have been made for.
int64_t positions_needed(const BlockPlan& plan, int64_t block_length);

}  // namespace dbsa
