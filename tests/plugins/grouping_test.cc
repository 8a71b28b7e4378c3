// What the groupers share: assignment to sizes against every possible one, exchange, k-means'
// steps.
#include "plugins/shared/grouping/exchange.h"
#include "plugins/shared/grouping/sized_assignment.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "plugins/shared/grouping/blocks.h"

namespace dbsa::grouping {
namespace {

int64_t total(const std::vector<int64_t>& costs, const std::vector<int32_t>& clusters_of,
              size_t clusters) {
  int64_t sum = 0;
  for (size_t i = 0; i < clusters_of.size(); ++i) sum += costs[i * clusters + clusters_of[i]];
  return sum;
}

// The least total of all assignments with those sizes, by trying them all.
int64_t brute_force(const std::vector<int64_t>& costs, std::vector<int64_t>& left, size_t item,
                    size_t items) {
  if (item == items) return 0;
  int64_t best = INT64_MAX;
  for (size_t c = 0; c < left.size(); ++c) {
    if (left[c] == 0) continue;
    --left[c];
    best =
        std::min(best, costs[item * left.size() + c] + brute_force(costs, left, item + 1, items));
    ++left[c];
  }
  return best;
}

std::vector<int64_t> sizes_of(const std::vector<int32_t>& clusters_of, size_t clusters) {
  std::vector<int64_t> sizes(clusters, 0);
  for (const int32_t c : clusters_of) ++sizes[c];
  return sizes;
}

TEST(SizedAssignment, IsTheOptimumOfAllAssignments) {
  const uint64_t seed = 20250401;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    const size_t clusters = 1 + random.below(4);
    const size_t items = 1 + random.below(8);
    std::vector<int64_t> sizes(clusters, 0);
    for (size_t i = 0; i < items; ++i) ++sizes[random.below(clusters)];
    const uint64_t bound = round % 2 == 0 ? 5 : (uint64_t{1} << 42) + 1;  // many ties, or none
    std::vector<int64_t> costs(items * clusters);
    for (int64_t& cost : costs) cost = static_cast<int64_t>(random.below(bound));
    const std::vector<int32_t> found = assign_to_sizes(costs, sizes);
    ASSERT_EQ(sizes_of(found, clusters), sizes) << "round " << round;
    std::vector<int64_t> left = sizes;
    ASSERT_EQ(total(costs, found, clusters), brute_force(costs, left, 0, items)) << round;
  }
}

// Too large to try all: no cycle of moves between clusters may lower the total, which is what an
// optimum is. Bellman-Ford over the clusters finds one if there is any.
TEST(SizedAssignment, LeavesNoCycleThatHelps) {
  Random random(9);
  for (const auto& [items, size] : {std::pair{1000, 50}, {730, 7}, {500, 2}}) {
    std::vector<int64_t> sizes(items / size, size);
    if (items % size > 0) sizes.push_back(items % size);
    const size_t clusters = sizes.size();
    std::vector<int64_t> costs(items * clusters);
    for (int64_t& cost : costs) cost = static_cast<int64_t>(random.below(1000000));
    const std::vector<int32_t> found = assign_to_sizes(costs, sizes);
    ASSERT_EQ(sizes_of(found, clusters), sizes);
    std::vector<std::vector<int64_t>> edges(clusters, std::vector<int64_t>(clusters, INT64_MAX));
    for (int i = 0; i < items; ++i)
      for (size_t to = 0; to < clusters; ++to) {
        const auto from = static_cast<size_t>(found[i]);
        edges[from][to] =
            std::min(edges[from][to], costs[i * clusters + to] - costs[i * clusters + from]);
      }
    std::vector<int64_t> distances(clusters, 0);
    bool changed = true;
    for (size_t round = 0; round <= clusters && changed; ++round) {
      changed = false;
      for (size_t a = 0; a < clusters; ++a)
        for (size_t b = 0; b < clusters; ++b)
          if (distances[a] + edges[a][b] < distances[b]) {
            distances[b] = distances[a] + edges[a][b];
            changed = true;
          }
    }
    EXPECT_FALSE(changed) << items << " in " << size;
  }
}

TEST(SizedAssignment, TakesNothingAndClustersOfSizeZero) {
  EXPECT_TRUE(assign_to_sizes({}, {}).empty());
  const std::vector<int64_t> costs = {0, 9, 5, 0, 9, 1};
  const std::vector<int64_t> sizes = {0, 1, 1};
  EXPECT_EQ(assign_to_sizes(costs, sizes), (std::vector<int32_t>{1, 2}));
}

Blocks blocks_of(const std::vector<int64_t>& sizes) {
  Blocks blocks;
  int64_t next = 0;
  for (const int64_t size : sizes) {
    auto& block = blocks.emplace_back(size);
    std::iota(block.begin(), block.end(), next);
    next += size;
  }
  return blocks;
}

// How many members of each block are not of it any more.
std::vector<int64_t> strangers(const Blocks& before, const Blocks& after) {
  std::vector<int64_t> result;
  for (size_t b = 0; b < before.size(); ++b) {
    const std::set<int64_t> own(before[b].begin(), before[b].end());
    int64_t n = 0;
    for (const int64_t i : after[b]) n += own.count(i) == 0 ? 1 : 0;
    result.push_back(n);
  }
  return result;
}

TEST(Exchange, GivesTheStatedShareOfEveryBlockToOthers) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const Blocks before = blocks_of({50, 50, 50, 20});
    for (const auto& [fraction, expected] : {std::pair{0.0, std::vector<int64_t>{0, 0, 0, 0}},
                                             {0.1, {5, 5, 5, 2}},
                                             {0.5, {25, 25, 25, 10}},
                                             {1.0, {50, 50, 50, 20}}}) {
      Blocks after = before;
      exchange(after, fraction, random);
      EXPECT_EQ(strangers(before, after), expected) << "seed " << seed << ", " << fraction;
      std::set<int64_t> all;
      for (size_t b = 0; b < after.size(); ++b) {
        EXPECT_EQ(after[b].size(), before[b].size());
        all.insert(after[b].begin(), after[b].end());
      }
      EXPECT_EQ(all.size(), 170u);
    }
  }
}

TEST(Exchange, GivesNoMoreThanAllOthersTogether) {
  Random random(1);
  const Blocks before = blocks_of({50, 10});
  Blocks after = before;
  exchange(after, 0.5, random);
  EXPECT_EQ(strangers(before, after), (std::vector<int64_t>{5, 5}));
  Blocks one = blocks_of({50});
  exchange(one, 0.5, random);
  EXPECT_EQ(one[0].size(), 50u);
  Blocks none;
  exchange(none, 0.5, random);
  EXPECT_TRUE(none.empty());
}

// Members go anywhere, not along a ring: each of 20 blocks gets from most others over many draws.
TEST(Exchange, MixesAllBlocks) {
  Random random(2);
  const Blocks before = blocks_of(std::vector<int64_t>(20, 50));
  std::set<std::pair<int64_t, size_t>> met;
  for (int round = 0; round < 20; ++round) {
    Blocks after = before;
    exchange(after, 0.2, random);
    for (size_t b = 0; b < after.size(); ++b)
      for (const int64_t i : after[b]) met.insert({i / 50, b});
  }
  EXPECT_EQ(met.size(), 400u);
}

}  // namespace
}  // namespace dbsa::grouping
