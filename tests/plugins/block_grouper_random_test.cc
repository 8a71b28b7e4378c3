// The random grouper: a permutation, cut exactly, the same for a seed everywhere, and balanced.
#include <dbsa/sdk/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/plugins/block_grouper_under_test.h"

namespace dbsa::testing {
namespace {

Blocks group(const std::string& config, const std::vector<int64_t>& tokens, int64_t block_size,
             uint64_t seed) {
  Pool pool;
  for (const int64_t t : tokens) pool.add("x", "x", t);
  return group("block_grouper_random", config, pool, block_size, seed);
}

// Token counts with the long tail of real demonstrations.
std::vector<int64_t> long_tailed(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> tokens(count);
  for (int64_t& t : tokens) {
    const double u = static_cast<double>(random.below(1000000) + 1) / 1e6;
    t = 18 + static_cast<int64_t>(-14 * std::log(u));
  }
  return tokens;
}

TEST(RandomGrouper, EveryDemonstrationOnceAndOnlyTheLastBlockSmaller) {
  for (const char* config : {kBalanced, kUnbalanced}) {
    for (const int64_t count : {1, 2, 7, 49, 50, 51, 99, 100, 101, 777}) {
      for (const int64_t size : {1, 3, 50, 1000}) {
        const Blocks blocks = group(config, long_tailed(count, 5), size, 11);
        ASSERT_EQ(static_cast<int64_t>(blocks.size()), (count + size - 1) / size);
        std::set<int64_t> seen;
        for (size_t b = 0; b < blocks.size(); ++b) {
          const int64_t expected =
              b + 1 < blocks.size() ? size : count - size * static_cast<int64_t>(b);
          EXPECT_EQ(static_cast<int64_t>(blocks[b].size()), expected)
              << config << " count " << count << " size " << size << " block " << b;
          seen.insert(blocks[b].begin(), blocks[b].end());
        }
        EXPECT_EQ(static_cast<int64_t>(seen.size()), count);
        EXPECT_EQ(*seen.rbegin(), count - 1);
      }
    }
  }
}

// Values of the generator and of the groupings that any machine must reproduce.
TEST(RandomGrouper, IsTheSameOnEveryMachine) {
  Random random(42);
  EXPECT_EQ(random.next(), UINT64_C(13679457532755275413));
  EXPECT_EQ(random.next(), UINT64_C(2949826092126892291));
  const std::vector<int64_t> tokens = {9, 1, 8, 2, 7, 3, 6, 4};
  EXPECT_EQ(group(kUnbalanced, tokens, 3, 7), (Blocks{{2, 5, 1}, {6, 7, 4}, {0, 3}}));
  EXPECT_NE(group(kUnbalanced, tokens, 3, 7), group(kUnbalanced, tokens, 3, 8));
  EXPECT_EQ(group(kBalanced, tokens, 4, 7), (Blocks{{2, 4, 5, 3}, {7, 1, 6, 0}}));
}

// The cost grows a little faster than the number of demonstrations; a square would not end here.
TEST(RandomGrouper, DealsLargePools) {
  const std::vector<int64_t> tokens = long_tailed(100000, 3);
  for (const int64_t size : {1, 2, 50, 5000}) {
    const Blocks blocks = group(kBalanced, tokens, size, 1);
    EXPECT_EQ(static_cast<int64_t>(blocks.size()), 100000 / size);
    if (size >= 50) {
      EXPECT_LE(spread(blocks, tokens, static_cast<size_t>(size)), 2) << size;
    }
  }
}

TEST(RandomGrouper, BalancesTokensOfBlocks) {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const int64_t count : {800, 1010}) {
      const std::vector<int64_t> tokens = long_tailed(count, seed);
      const int64_t balanced = spread(group(kBalanced, tokens, 50, seed), tokens, 50);
      const int64_t plain = spread(group(kUnbalanced, tokens, 50, seed), tokens, 50);
      std::printf("seed %llu, %lld demonstrations: spread %lld tokens balanced, %lld plain\n",
                  static_cast<unsigned long long>(seed), static_cast<long long>(count),
                  static_cast<long long>(balanced), static_cast<long long>(plain));
      EXPECT_LE(balanced, 2);
      EXPECT_GT(plain, 50);
    }
  }
}

// The smaller block gets its share, not the leftovers at one end of the scale.
TEST(RandomGrouper, BalancesTheSmallerBlockInProportion) {
  const std::vector<int64_t> tokens = long_tailed(1025, 9);
  const double mean =
      static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), int64_t{0})) /
      static_cast<double>(tokens.size());
  const Blocks blocks = group(kBalanced, tokens, 50, 1);
  ASSERT_EQ(blocks.back().size(), 25u);
  double sum = 0;
  for (const int64_t i : blocks.back()) sum += static_cast<double>(tokens[i]);
  EXPECT_NEAR(sum / 25, mean, 0.05 * mean);
}

TEST(RandomGrouper, EqualLengthsStayRandom) {
  const std::vector<int64_t> tokens(400, 20);
  const Blocks a = group(kBalanced, tokens, 50, 1);
  const Blocks b = group(kBalanced, tokens, 50, 2);
  const std::set<int64_t> first(a[0].begin(), a[0].end());
  int64_t shared = 0;
  for (const int64_t i : b[0]) shared += static_cast<int64_t>(first.count(i));
  EXPECT_LT(shared, 25);  // 6 expected by chance, 50 if the seed did nothing
}

}  // namespace
}  // namespace dbsa::testing
