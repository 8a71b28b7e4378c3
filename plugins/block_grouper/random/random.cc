// Block grouper `random`: seeded blocks of block_size demonstrations, of about equal token count.
//
// Balancing: the demonstrations, shuffled, are sorted by token count (stable, longest first) and
// dealt in block_size rounds, one to each block. In a round the longest goes to the block with the
// fewest tokens so far, so every block gets one demonstration of each length class. What a very
// long demonstration leaves is then evened out by swaps between the longest and the shortest block,
// each the one that brings them closest, until none helps: usually a difference of a token or two.
//
// A smaller last block joins only some rounds, evenly spread, and is compared with the others by
// how far it is from what it should have by then. It takes no part in the swaps.
#include <dbsa/sdk/block_grouper.h>
#include <dbsa/sdk/random.h>

#include <algorithm>
#include <numeric>

#include "plugins/shared/grouping/blocks.h"

namespace dbsa {
namespace {

Blocks deal(std::vector<int64_t> order, std::span<const int64_t> tokens, int64_t block_size) {
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return tokens[a] > tokens[b]; });
  const int64_t count = static_cast<int64_t>(order.size());
  const int64_t full_blocks = count / block_size;
  const int64_t rest = count % block_size;  // members of the last, smaller block
  Blocks blocks(full_blocks + (rest > 0 ? 1 : 0));
  std::vector<int64_t> surplus(blocks.size(), 0);  // tokens above what the block should have by now
  std::vector<int64_t> ranked;                     // blocks of this round, fewest tokens first
  int64_t next = 0;
  for (int64_t round = 0; round < block_size && next < count; ++round) {
    // The smaller block joins when its share of the rounds passes a whole number.
    const bool rest_joins = (round + 1) * rest / block_size > round * rest / block_size;
    ranked.resize(full_blocks + (rest_joins ? 1 : 0));
    std::iota(ranked.begin(), ranked.end(), int64_t{0});
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](int64_t a, int64_t b) { return surplus[a] < surplus[b]; });
    const int64_t expected = tokens[order[next + static_cast<int64_t>(ranked.size()) / 2]];
    for (const int64_t block : ranked) {
      const int64_t demonstration = order[next++];
      surplus[block] += tokens[demonstration] - expected;
      blocks[block].push_back(demonstration);
    }
  }
  return blocks;
}

class RandomGrouper final : public BlockGrouper {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<RandomGrouper>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const bool balanced, config.get<bool>("balanced_lengths"));
    return std::make_unique<RandomGrouper>(balanced);
  }

  explicit RandomGrouper(bool balanced) : balanced_lengths_(balanced) {}

  Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                       uint64_t seed) override {
    const int64_t count = demonstrations.size();
    DBSA_RETURN_IF_ERROR(grouping::check_block_size(block_size));
    Random random(seed);
    std::vector<int64_t> order = grouping::shuffled(count, random);
    if (!balanced_lengths_ || count <= block_size) return grouping::cut(order, block_size);
    Blocks blocks = deal(std::move(order), demonstrations.token_counts, block_size);
    grouping::even_out(std::span(blocks).first(count / block_size), demonstrations.token_counts,
                       {});
    // Dealing leaves long demonstrations first and long blocks first: undo both.
    grouping::shuffle_blocks(blocks, block_size, random);
    return blocks;
  }

 private:
  bool balanced_lengths_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::RandomGrouper);
