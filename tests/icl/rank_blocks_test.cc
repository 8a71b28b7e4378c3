// A ranking of blocks from one of demonstrations, against sums written down directly.
#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "icl/selection.h"

namespace dbsa::testing {
namespace {

std::vector<Hit> naive(const std::vector<Hit>& hits, const std::vector<int64_t>& block_of,
                       BlockScore rule) {
  std::map<int64_t, std::vector<double>> scores;
  for (const Hit& hit : hits) scores[block_of[static_cast<size_t>(hit.id)]].push_back(hit.score);
  std::vector<Hit> ranking;
  for (const auto& [block, of_block] : scores) {
    double score = 0;
    if (rule == BlockScore::kMax) {
      score = *std::max_element(of_block.begin(), of_block.end());
    } else {
      for (const double s : of_block) score += s;
      if (rule == BlockScore::kMean)
        score /= static_cast<double>(std::count(block_of.begin(), block_of.end(), block));
    }
    ranking.push_back({block, score});
  }
  std::sort(ranking.begin(), ranking.end(), [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
  return ranking;
}

TEST(RankBlocks, EqualsTheNaiveRankingForRandomHits) {
  const uint64_t seed = 20250702;
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (int round = 0; round < 500; ++round) {
    std::vector<int64_t> block_of;
    for (int64_t block = 0, n = static_cast<int64_t>(1 + random.below(8)); block < n; ++block)
      block_of.insert(block_of.end(), 1 + random.below(6), block);
    std::vector<Hit> hits;
    // Quarters, so that sums are exact and ties are many; some below 0, as inner products are.
    for (size_t id = 0; id < block_of.size(); ++id)
      if (random.below(3) != 0)
        hits.push_back(
            {static_cast<int64_t>(id), static_cast<double>(random.below(17)) / 4.0 - 1.0});
    std::stable_sort(hits.begin(), hits.end(),
                     [](const Hit& a, const Hit& b) { return a.score > b.score; });
    for (const BlockScore rule : {BlockScore::kMax, BlockScore::kMean, BlockScore::kSum})
      EXPECT_EQ(rank_blocks(hits, block_of, rule), naive(hits, block_of, rule))
          << "round " << round << " rule " << static_cast<int>(rule);
  }
}

TEST(RankBlocks, CountsADemonstrationThatIsNotRankedAsNothing) {
  const std::vector<int64_t> block_of = {0, 0, 1, 1, 1, 1, 2};
  const std::vector<Hit> hits = {{2, 4.0}, {0, 3.0}, {1, 2.0}};
  EXPECT_EQ(rank_blocks(hits, block_of, BlockScore::kMax), (std::vector<Hit>{{1, 4.0}, {0, 3.0}}));
  EXPECT_EQ(rank_blocks(hits, block_of, BlockScore::kMean), (std::vector<Hit>{{0, 2.5}, {1, 1.0}}));
  EXPECT_EQ(rank_blocks(hits, block_of, BlockScore::kSum), (std::vector<Hit>{{0, 5.0}, {1, 4.0}}));
}

TEST(RankBlocks, BreaksTiesByTheLowerBlock) {
  EXPECT_EQ(rank_blocks(std::vector<Hit>{{2, 1.0}, {0, 1.0}, {1, 1.0}},
                        std::vector<int64_t>{0, 1, 2}, BlockScore::kMax),
            (std::vector<Hit>{{0, 1.0}, {1, 1.0}, {2, 1.0}}));
}

TEST(RankBlocks, OfNothingIsEmpty) {
  for (const BlockScore rule : {BlockScore::kMax, BlockScore::kMean, BlockScore::kSum}) {
    EXPECT_TRUE(rank_blocks({}, {}, rule).empty());
    EXPECT_TRUE(rank_blocks({}, std::vector<int64_t>{0, 0, 1}, rule).empty());
  }
}

}  // namespace
}  // namespace dbsa::testing
