// The stratified grouper: labels balanced over the blocks, as far as sizes permit, and token
// counts.
#include <map>

#include "tests/plugins/block_grouper_under_test.h"

namespace dbsa::testing {
namespace {

// Labels drawn with a skew, so that some are common and many are rare.
Pool skewed_pool(int64_t count, uint64_t labels, Random& random) {
  Pool pool;
  for (int64_t i = 0; i < count; ++i)
    pool.add("x", "label" + std::to_string(random.below(1 + random.below(labels))),
             5 + static_cast<int64_t>(random.below(40)));
  return pool;
}

// [label] how often it is in each block.
std::map<std::string, std::vector<int64_t>> counts(const Pool& pool, const Blocks& blocks) {
  std::map<std::string, std::vector<int64_t>> result;
  for (size_t b = 0; b < blocks.size(); ++b)
    for (const int64_t i : blocks[b]) {
      auto& row = result[pool.labels[i]];
      row.resize(blocks.size(), 0);
      ++row[b];
    }
  return result;
}

void expect_balanced(const Pool& pool, const Blocks& blocks, int64_t block_size) {
  const auto labels = counts(pool, blocks);
  const int64_t count = pool.size();
  const int64_t full = count / block_size;
  const int64_t rest = count % block_size;
  const auto all = static_cast<int64_t>(blocks.size());
  int64_t least = 0;  // what the smaller block needs for a difference of one at most
  for (const auto& [label, row] : labels) {
    const auto [low, high] = std::minmax_element(row.begin(), row.begin() + full);
    EXPECT_LE(*high - *low, 1) << label;
    int64_t total = 0;
    for (const int64_t n : row) total += n;
    least += total / all;
  }
  if (rest == 0) return;
  for (const auto& [label, row] : labels) {
    int64_t total = 0;
    for (const int64_t n : row) total += n;
    if (rest >= least) {
      const auto [low, high] = std::minmax_element(row.begin(), row.end());
      EXPECT_LE(*high - *low, 1) << label << ", the smaller block included";
    } else {
      EXPECT_GE(row.back(), total * rest / count) << label;
      EXPECT_LE(row.back(), (total * rest + count - 1) / count) << label;
    }
  }
}

TEST(StratifiedGrouper, BalancesLabelsOfRandomPools) {
  const uint64_t seed = 20250304;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  for (int round = 0; round < 400; ++round) {
    const auto count = static_cast<int64_t>(1 + random.below(400));
    const auto size = static_cast<int64_t>(1 + random.below(60));
    const Pool pool = skewed_pool(count, 1 + random.below(90), random);
    const Blocks blocks =
        group("block_grouper_stratified", round % 2 == 0 ? kBalanced : kUnbalanced, pool, size,
              random.next());
    expect_valid(blocks, count, size);
    if (count > size) expect_balanced(pool, blocks, size);
    if (HasFailure()) FAIL() << "round " << round << ": " << count << " in blocks of " << size;
  }
}

// 10 of one label and 89 of others in blocks of 50 and 49: five each.
TEST(StratifiedGrouper, CountsASmallerBlockThatIsLargeEnough) {
  Pool pool;
  for (int i = 0; i < 99; ++i) pool.add("x", i < 10 ? "rare" : std::to_string(i), 7);
  const Blocks blocks = group("block_grouper_stratified", kUnbalanced, pool, 50, 5);
  EXPECT_EQ(counts(pool, blocks).at("rare"), (std::vector<int64_t>{5, 5}));
}

TEST(StratifiedGrouper, IsTheSameForASeedAndAnotherForAnother) {
  const Pool pool = topical_pool(200, 7, 3);
  const PluginUnderTest plugin("block_grouper_stratified", kBalanced);
  const Blocks first = group(plugin, pool, 30, 11);
  EXPECT_EQ(group(plugin, pool, 30, 11), first);
  EXPECT_NE(group(plugin, pool, 30, 12), first);
  Pool small;
  for (const char* label : {"a", "b", "a", "b", "a", "b", "c"}) small.add("x", label, 1);
  EXPECT_EQ(group("block_grouper_stratified", kUnbalanced, small, 3, 7),
            (Blocks{{0, 3, 6}, {2, 1, 4}, {5}}));
}

TEST(StratifiedGrouper, BalancesTokensWithinLabels) {
  Random random(4);
  Pool pool;
  for (int i = 0; i < 1000; ++i)
    pool.add("x", std::to_string(i % 20), 10 + static_cast<int64_t>(random.below(60)));
  const int64_t balanced =
      spread(group("block_grouper_stratified", kBalanced, pool, 50, 1), pool.tokens, 50);
  const int64_t plain =
      spread(group("block_grouper_stratified", kUnbalanced, pool, 50, 1), pool.tokens, 50);
  std::printf("spread %lld tokens balanced, %lld plain\n", static_cast<long long>(balanced),
              static_cast<long long>(plain));
  EXPECT_LE(balanced, 2);
  EXPECT_GT(plain, 100);
}

TEST(StratifiedGrouper, DealsLargePools) {
  Random random(8);
  const Pool pool = skewed_pool(100000, 150, random);
  for (const int64_t size : {1, 2, 50, 5000}) {
    const Blocks blocks = group("block_grouper_stratified", kBalanced, pool, size, 1);
    expect_valid(blocks, pool.size(), size);
    expect_balanced(pool, blocks, size);
  }
}

}  // namespace
}  // namespace dbsa::testing
