#include "icl/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_set>

#include "icl/dataset.h"

namespace dbsa {
namespace {

int64_t prefix_blocks(const PoolShape& pool) { return pool.has_prefix ? 1 : 0; }

int64_t pool_blocks(const PoolShape& pool) {
  return static_cast<int64_t>(pool.block_lengths.size());
}

// Blocks that are selected for every query: the prefix and the anchors, which begin the pool.
int64_t fixed_blocks(const PoolShape& pool) {
  return std::min(std::max(pool.anchor_blocks, prefix_blocks(pool)), pool_blocks(pool));
}

Error unknown_name(const char* key, std::string_view name, const char* names) {
  return Error{ErrorCode::kConfig,
               std::string("selection.") + key + ": expected one of " + names + ", found " +
                   quote_for_message(name),
               std::string("/selection/") + key};
}

// The blocks after the fixed ones, best first: as ranked, then in pool order.
Result<std::vector<SelectedBlock>> choose(const PoolShape& pool, int64_t wanted,
                                          std::span<const Hit> ranking) {
  const int64_t fixed = fixed_blocks(pool);
  std::vector<SelectedBlock> chosen;
  std::unordered_set<int64_t> seen;
  for (const Hit& hit : ranking) {
    const int64_t block = hit.id + prefix_blocks(pool);
    if (hit.id < 0 || block >= pool_blocks(pool) || !seen.insert(block).second)
      return Error{ErrorCode::kPlugin,
                   "the retriever named document " + std::to_string(hit.id) +
                       (hit.id < 0 || block >= pool_blocks(pool)
                            ? " of " + std::to_string(pool_blocks(pool) - prefix_blocks(pool))
                            : " twice"),
                   ""};
    if (block >= fixed && static_cast<int64_t>(chosen.size()) < wanted)
      chosen.push_back({block, hit.score, 0});
  }
  for (int64_t block = fixed; static_cast<int64_t>(chosen.size()) < wanted; ++block)
    if (!seen.contains(block)) chosen.push_back({block, std::nullopt, 0});
  return chosen;
}

// Of blocks best first: ranks m, m+1, ..., n-1, then m-1, ..., 1, 0, with m half of n rounded up.
void worst_to_middle(std::vector<SelectedBlock>& best_first) {
  const auto better_end = best_first.begin() + static_cast<int64_t>((best_first.size() + 1) / 2);
  std::reverse(best_first.begin(), better_end);
  std::rotate(best_first.begin(), better_end, best_first.end());
}

void arrange(BlockOrder order, std::vector<SelectedBlock>& blocks) {
  const auto by_index = [](const SelectedBlock& a, const SelectedBlock& b) {
    return a.block < b.block;
  };
  switch (order) {
    case BlockOrder::kIndex:
      std::sort(blocks.begin(), blocks.end(), by_index);
      break;
    case BlockOrder::kReversed:
      std::sort(blocks.rbegin(), blocks.rend(), by_index);
      break;
    case BlockOrder::kHighToLow:
      break;
    case BlockOrder::kLowToHigh:
      std::reverse(blocks.begin(), blocks.end());
      break;
    case BlockOrder::kMiddle:
      worst_to_middle(blocks);
      break;
  }
}

void place(Positions positions, const PoolShape& pool, Selection& selection) {
  for (SelectedBlock& block : selection.blocks) {
    block.start = selection.tokens;
    selection.tokens += pool.block_lengths[block.block];
  }
  selection.query_start = selection.tokens;
  if (positions == Positions::kContiguous || pool.block_lengths.empty()) return;
  std::vector<int64_t> starts(pool.block_lengths.size());
  std::exclusive_scan(pool.block_lengths.begin(), pool.block_lengths.end(), starts.begin(),
                      int64_t{0});
  for (SelectedBlock& block : selection.blocks) block.start = starts[block.block];
  selection.query_start = starts.back() + pool.block_lengths.back();
}

Error too_far(int64_t max_positions, const std::string& found, bool contiguous) {
  return Error{ErrorCode::kConfig,
               "selection: expected at most " + std::to_string(max_positions) +
                   " positions, the model's, from the first selected block to the query's end, "
                   "found " +
                   found +
                   (contiguous ? "; lower selection.ratio or count, or shorten the query"
                               : "; write positions = \"contiguous\""),
               "/selection"};
}

}  // namespace

Result<BlockOrder> parse_block_order(std::string_view name) {
  if (name == "index") return BlockOrder::kIndex;
  if (name == "reversed") return BlockOrder::kReversed;
  if (name == "high_to_low") return BlockOrder::kHighToLow;
  if (name == "low_to_high") return BlockOrder::kLowToHigh;
  if (name == "middle") return BlockOrder::kMiddle;
  return unknown_name("order", name, "index, low_to_high, high_to_low, middle, reversed");
}

Result<Positions> parse_positions(std::string_view name) {
  if (name == "contiguous") return Positions::kContiguous;
  if (name == "original") return Positions::kOriginal;
  return unknown_name("positions", name, "contiguous, original");
}

Result<int64_t> selection_size(const SelectionRule& rule, const PoolShape& pool) {
  const int64_t available = pool_blocks(pool) - prefix_blocks(pool);
  const int64_t anchors = fixed_blocks(pool) - prefix_blocks(pool);
  if (rule.ratio.has_value() == rule.count.has_value())
    return Error{ErrorCode::kConfig,
                 std::string("selection: expected exactly one of ratio and count, found ") +
                     (rule.ratio ? "both" : "neither") + "; keep one",
                 "/selection"};
  if (rule.ratio) {
    if (!(*rule.ratio > 0 && *rule.ratio <= 1))
      return Error{ErrorCode::kConfig,
                   "selection.ratio: expected more than 0 and at most 1, found " +
                       std::to_string(*rule.ratio) + "; write e.g. 0.3",
                   "/selection/ratio"};
    // 0.29 x 50 is a little below 14.5 in binary; the small term keeps halves rounding up.
    const double share = *rule.ratio * static_cast<double>(available);
    const auto rounded = static_cast<int64_t>(std::floor(share + 0.5 + 1e-9));
    return std::min(available, std::max({int64_t{1}, anchors, rounded}));
  }
  if (*rule.count < 0 || *rule.count > available)
    return Error{ErrorCode::kConfig,
                 "selection.count: expected at most " + std::to_string(available) +
                     ", the blocks of the pool, found " + std::to_string(*rule.count) +
                     "; lower it, or make block_grouper.block_size smaller",
                 "/selection/count"};
  if (*rule.count < anchors)
    return Error{ErrorCode::kConfig,
                 "selection.count: expected at least " + std::to_string(anchors) +
                     ", the anchor blocks, which are always selected, found " +
                     std::to_string(*rule.count) +
                     "; raise it, or lower mask_pattern.anchor_blocks",
                 "/selection/count"};
  return *rule.count;
}

Result<Selection> select_blocks(const SelectionRule& rule, const PoolShape& pool,
                                std::span<const Hit> ranking) {
  if (pool.block_lengths.empty() && rule.count != 0)
    return Error{ErrorCode::kInvalidArgument, "selection: the pool has no block", ""};
  DBSA_ASSIGN_OR_RETURN(const int64_t size, selection_size(rule, pool));
  const int64_t fixed = fixed_blocks(pool);
  DBSA_ASSIGN_OR_RETURN(std::vector<SelectedBlock> chosen,
                        choose(pool, size + prefix_blocks(pool) - fixed, ranking));
  arrange(rule.order, chosen);
  Selection selection;
  for (int64_t block = 0; block < fixed; ++block)
    selection.blocks.push_back({block, std::nullopt, 0});
  for (const Hit& hit : ranking)
    if (const int64_t block = hit.id + prefix_blocks(pool); block < fixed)
      selection.blocks[block].score = hit.score;
  selection.blocks.insert(selection.blocks.end(), chosen.begin(), chosen.end());
  place(rule.positions, pool, selection);
  return selection;
}

Selection leave_out(const SelectionRule& rule, const PoolShape& pool, const Selection& selection,
                    size_t index) {
  Selection left;
  left.blocks = selection.blocks;
  left.blocks.erase(left.blocks.begin() + static_cast<std::ptrdiff_t>(index));
  place(rule.positions, pool, left);
  return left;
}

std::vector<Hit> rank_blocks(std::span<const Hit> hits, std::span<const int64_t> block_of,
                             BlockScore score) {
  const int64_t blocks =
      block_of.empty() ? 0 : 1 + *std::max_element(block_of.begin(), block_of.end());
  std::vector<std::optional<double>> scores(static_cast<size_t>(blocks));
  std::vector<int64_t> sizes(static_cast<size_t>(blocks), 0);
  for (const int64_t block : block_of) ++sizes[static_cast<size_t>(block)];
  for (const Hit& hit : hits) {
    std::optional<double>& sum = scores[static_cast<size_t>(block_of[static_cast<size_t>(hit.id)])];
    if (!sum)
      sum = hit.score;
    else
      sum = score == BlockScore::kMax ? std::max(*sum, hit.score) : *sum + hit.score;
  }
  std::vector<Hit> ranking;
  for (int64_t block = 0; block < blocks; ++block) {
    const auto i = static_cast<size_t>(block);
    if (!scores[i]) continue;
    const double divisor = score == BlockScore::kMean ? static_cast<double>(sizes[i]) : 1.0;
    ranking.push_back({block, *scores[i] / divisor});
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [](const Hit& a, const Hit& b) { return a.score > b.score; });
  return ranking;
}

Status check_selection_possible(const SelectionRule& rule, const PoolShape& pool,
                                int64_t max_positions) {
  DBSA_ASSIGN_OR_RETURN(const int64_t size, selection_size(rule, pool));
  const int64_t fixed = fixed_blocks(pool), others = size + prefix_blocks(pool) - fixed;
  // The shortest span there can be: of the fixed blocks and the shortest others, or, where blocks
  // keep their places, of the last blocks.
  std::vector<int64_t> counted(pool.block_lengths.begin(), pool.block_lengths.end());
  const bool contiguous = rule.positions == Positions::kContiguous;
  if (contiguous) {
    std::sort(counted.begin() + fixed, counted.end());
    counted.resize(static_cast<size_t>(fixed + others));
  } else if (fixed == 0) {
    counted.erase(counted.begin(), counted.end() - others);
  }
  const int64_t span = std::accumulate(counted.begin(), counted.end(), int64_t{1});
  if (span <= max_positions) return {};
  return too_far(max_positions, "at least " + std::to_string(span), contiguous);
}

int64_t spanned_positions(const Selection& selection, int64_t query_tokens) {
  int64_t first = selection.query_start;
  for (const SelectedBlock& block : selection.blocks) first = std::min(first, block.start);
  return selection.query_start + query_tokens - first;
}

}  // namespace dbsa
