// Selection: which blocks answer a query, in which order, and where they stand.
#pragma once

#include <dbsa/sdk/result.h>
#include <dbsa/sdk/retriever.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace dbsa {

// Order of the selected blocks. Anchors and prefix stay first, in pool order, under each.
enum class BlockOrder {
  kIndex,      // pool order
  kReversed,   // pool order, backwards
  kHighToLow,  // best first
  kLowToHigh,  // best last, next to the query: kHighToLow backwards
  kMiddle,     // worst in the middle: the worse half best first, then the better half best last
};

enum class Positions {
  kContiguous,  // selected blocks end to end from 0, then the query
  kOriginal,    // blocks at their places in the pool, the query after the pool's end
};

Result<BlockOrder> parse_block_order(std::string_view name);  // "index", "low_to_high", ...
Result<Positions> parse_positions(std::string_view name);     // "contiguous", "original"

// How a block's score comes from those of its demonstrations.
enum class BlockScore { kMax, kMean, kSum };

struct SelectionRule {
  std::optional<double> ratio;   // in (0, 1]; exactly one of ratio and count
  std::optional<int64_t> count;  // blocks; 0: none except a prefix
  BlockOrder order = BlockOrder::kIndex;
  Positions positions = Positions::kContiguous;
};

// The pool as selection sees it.
struct PoolShape {
  std::span<const int64_t> block_lengths;  // tokens of each block of the pool, the prefix included
  int64_t anchor_blocks = 0;               // of the mask pattern; the prefix is one of them
  bool has_prefix = false;                 // block 0 is the prefix block
};

struct SelectedBlock {
  int64_t block = 0;            // index in the pool, the prefix included
  std::optional<double> score;  // of the retriever, where it named the block
  int64_t start = 0;            // position of the block's first token
  bool operator==(const SelectedBlock&) const = default;
};

struct Selection {
  std::vector<SelectedBlock> blocks;  // in prompt order
  int64_t query_start = 0;            // position of the query's first token
  int64_t tokens = 0;                 // of the selected blocks
};

// k, the blocks selected besides the prefix: `count`, or ratio x (blocks besides the prefix)
// rounded half up, at least 1 and at least the anchors. The retriever need not rank more than k
// documents. kConfig when `count` is more than there are or fewer than the anchors.
Result<int64_t> selection_size(const SelectionRule& rule, const PoolShape& pool);

// Selects k blocks: the anchors (the first anchor_blocks of the pool; they count towards k), then
// by `ranking`, best first, then, if it names too few, in pool order. The prefix is always selected
// and does not count. Document i of the ranking is block i, or block i + 1 where there is a prefix,
// which is never indexed. kPlugin for a ranking with an id out of range or twice.
// Cost: O(blocks), or O(k log k + anchors) under kContiguous when the ranking names k.
Result<Selection> select_blocks(const SelectionRule& rule, const PoolShape& pool,
                                std::span<const Hit> ranking);

// A selection without its block at `index`, the others placed as select_blocks places them.
Selection leave_out(const SelectionRule& rule, const PoolShape& pool, const Selection& selection,
                    size_t index);

// A ranking of blocks from one of demonstrations. block_of: [demonstrations] the block, from 0,
// that each stands in. Blocks of which no demonstration is ranked are left out; a demonstration
// that is not ranked counts as 0 in mean and sum. Ties: the lower block first. Cost: O(hits + b log
// b).
std::vector<Hit> rank_blocks(std::span<const Hit> hits, std::span<const int64_t> block_of,
                             BlockScore score);

// Refuses, before a pool is encoded, a rule that no query can be answered with: one that
// selection_size refuses, or whose shortest selection leaves a query of one token no position.
// kConfig.
Status check_selection_possible(const SelectionRule& rule, const PoolShape& pool,
                                int64_t max_positions);

// Positions from the first token of the selection's nearest-to-zero block to the last of
// `query_tokens` (the tokens to be decoded included): the longest distance that a row sees.
int64_t spanned_positions(const Selection& selection, int64_t query_tokens);

}  // namespace dbsa
