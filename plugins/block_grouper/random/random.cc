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
#include <cstdlib>
#include <numeric>
#include <set>
#include <utility>

namespace dbsa {
namespace {

std::vector<int64_t> shuffled(int64_t count, Random& random) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  random.shuffle(std::span(order));
  return order;
}

Blocks cut(const std::vector<int64_t>& order, int64_t block_size) {
  Blocks blocks;
  const int64_t count = static_cast<int64_t>(order.size());
  for (int64_t begin = 0; begin < count; begin += block_size)
    blocks.emplace_back(order.begin() + begin, order.begin() + std::min(count, begin + block_size));
  return blocks;
}

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

// Swaps the pair of demonstrations, one of each block, that brings the two token counts closest.
// Returns by how much `longer` shrank; 0, and nothing swapped, when no pair helps.
int64_t swap_best(std::vector<int64_t>& longer, std::vector<int64_t>& shorter, int64_t gap,
                  std::span<const int64_t> tokens) {
  const auto more_tokens = [&](int64_t a, int64_t b) { return tokens[a] > tokens[b]; };
  std::stable_sort(longer.begin(), longer.end(), more_tokens);
  std::stable_sort(shorter.begin(), shorter.end(), more_tokens);
  // Moving d = tokens[a] - tokens[b] leaves |gap - 2 d|. For each a, the best b is next to the
  // first that is more than gap / 2 shorter, and that one only moves on as a gets shorter.
  int64_t left = gap;
  std::pair<size_t, size_t> best = {0, 0};
  size_t j = 0;
  for (size_t i = 0; i < longer.size(); ++i) {
    while (j < shorter.size() && 2 * (tokens[longer[i]] - tokens[shorter[j]]) < gap) ++j;
    for (const size_t candidate : {j, j - 1}) {  // j - 1 wraps past the end for j = 0
      if (candidate >= shorter.size()) continue;
      const int64_t d = tokens[longer[i]] - tokens[shorter[candidate]];
      if (const int64_t now = std::abs(gap - 2 * d); now < left) {
        left = now;
        best = {i, candidate};
      }
    }
  }
  if (left == gap) return 0;
  const int64_t moved = tokens[longer[best.first]] - tokens[shorter[best.second]];
  std::swap(longer[best.first], shorter[best.second]);
  return moved;
}

// Evens out the token counts of blocks of one size. Every swap lowers the sum of their squares, so
// it ends; the limit only bounds the time.
void even_out(std::span<std::vector<int64_t>> blocks, std::span<const int64_t> tokens) {
  std::set<std::pair<int64_t, size_t>> by_tokens;
  for (size_t b = 0; b < blocks.size(); ++b) {
    int64_t sum = 0;
    for (const int64_t i : blocks[b]) sum += tokens[i];
    by_tokens.insert({sum, b});
  }
  for (size_t swaps = 0; by_tokens.size() > 1 && swaps < 16 * blocks.size(); ++swaps) {
    const auto [low, shorter] = *by_tokens.begin();
    const auto [high, longer] = *by_tokens.rbegin();
    const int64_t moved = swap_best(blocks[longer], blocks[shorter], high - low, tokens);
    if (moved == 0) return;
    by_tokens.erase(by_tokens.begin());
    by_tokens.erase(std::prev(by_tokens.end()));
    by_tokens.insert({low + moved, shorter});
    by_tokens.insert({high - moved, longer});
  }
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
    if (block_size < 1)
      return Error{ErrorCode::kInvalidArgument,
                   "block_size must be >= 1, got " + std::to_string(block_size), ""};
    Random random(seed);
    std::vector<int64_t> order = shuffled(count, random);
    if (!balanced_lengths_ || count <= block_size) return cut(order, block_size);
    Blocks blocks = deal(std::move(order), demonstrations.token_counts, block_size);
    even_out(std::span(blocks).first(count / block_size), demonstrations.token_counts);
    // Dealing leaves long demonstrations first and long blocks first: undo both.
    for (auto& block : blocks) random.shuffle(std::span(block));
    random.shuffle(std::span(blocks).first(count / block_size));
    return blocks;
  }

 private:
  bool balanced_lengths_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::RandomGrouper);
