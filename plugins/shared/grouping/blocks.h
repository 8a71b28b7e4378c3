// Blocks of demonstrations: cutting an order, evening out token counts, numbering labels.
#pragma once

#include <dbsa/sdk/block_grouper.h>
#include <dbsa/sdk/random.h>

#include <cstdint>
#include <span>
#include <vector>

namespace dbsa::grouping {

// kInvalidArgument unless block_size >= 1.
Status check_block_size(int64_t block_size);

// 0 .. count - 1, shuffled.
std::vector<int64_t> shuffled(int64_t count, Random& random);

// Blocks of block_size, the last one smaller where it does not divide.
Blocks cut(const std::vector<int64_t>& order, int64_t block_size);

// [labels] 0 for the label that is first in byte order, and so on; equal labels, equal numbers.
std::vector<int64_t> number_labels(Texts labels);

// Evens out the token counts of blocks of one size, by swaps between the longest and the shortest,
// each the one that brings them closest, until none helps. Swaps demonstrations of one class only:
// classes[i] is that of demonstration i; empty: all of one class. Reorders the blocks' members.
void even_out(std::span<std::vector<int64_t>> blocks, std::span<const int64_t> tokens,
              std::span<const int64_t> classes);

// Shuffles the members of each block, and the blocks except a smaller last one.
void shuffle_blocks(Blocks& blocks, int64_t block_size, Random& random);

}  // namespace dbsa::grouping
