#include "icl/selection.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace dbsa::testing {
namespace {

SelectionRule by_ratio(double ratio, BlockOrder order = BlockOrder::kIndex,
                       Positions positions = Positions::kContiguous) {
  return {ratio, std::nullopt, order, positions};
}

SelectionRule by_count(int64_t count, BlockOrder order = BlockOrder::kIndex,
                       Positions positions = Positions::kContiguous) {
  return {std::nullopt, count, order, positions};
}

std::vector<int64_t> ids_of(const Result<Selection>& selection) {
  EXPECT_TRUE(selection.ok()) << selection.error().message;
  std::vector<int64_t> ids;
  for (const SelectedBlock& b : selection->blocks) ids.push_back(b.block);
  return ids;
}

std::vector<int64_t> starts_of(const Result<Selection>& selection) {
  std::vector<int64_t> starts;
  for (const SelectedBlock& b : selection->blocks) starts.push_back(b.start);
  return starts;
}

const std::vector<int64_t> kLengths = {10, 20, 30, 40, 50, 60};  // tokens
const std::vector<Hit> kRanking = {{4, 9}, {2, 8}, {5, 7}, {0, 6}};

TEST(SelectionSize, RoundsHalfUpAndKeepsTheAnchors) {
  const auto size = [](double ratio, size_t blocks, int64_t anchors, bool prefix) {
    const std::vector<int64_t> lengths(blocks, 1);
    return *selection_size(by_ratio(ratio), {lengths, anchors, prefix});
  };
  EXPECT_EQ(size(0.3, 60, 1, false), 18);
  EXPECT_EQ(size(0.3, 16, 1, false), 5);    // 4.8
  EXPECT_EQ(size(0.3, 5, 1, false), 2);     // 1.5
  EXPECT_EQ(size(0.29, 50, 1, false), 15);  // 14.5, though less in binary
  EXPECT_EQ(size(0.3, 4, 1, false), 1);     // 1.2
  EXPECT_EQ(size(0.01, 16, 0, false), 1);   // at least one
  EXPECT_EQ(size(0.01, 16, 3, false), 3);   // at least the anchors
  EXPECT_EQ(size(1.0, 16, 40, false), 16);  // at most all
  EXPECT_EQ(size(0.5, 11, 1, true), 5);     // of 10; the prefix does not count
  EXPECT_EQ(size(0.01, 11, 3, true), 2);    // the prefix is one of the 3 anchors
  EXPECT_EQ(*selection_size(by_count(5), {std::vector<int64_t>(6, 1), 1, true}), 5);
  EXPECT_EQ(*selection_size(by_count(0), {std::vector<int64_t>(6, 1), 1, true}), 0);
}

TEST(SelectionSize, SaysWhatIsWrong) {
  const PoolShape pool = {kLengths, 2, false};
  const auto message = [&](const SelectionRule& rule) {
    const auto size = selection_size(rule, pool);
    if (size.ok()) return std::string("no error");
    EXPECT_EQ(size.error().code, ErrorCode::kConfig);
    return size.error().config_pointer + " " + size.error().message;
  };
  EXPECT_EQ(message({0.3, 4, BlockOrder::kIndex, Positions::kContiguous}),
            "/selection selection: expected exactly one of ratio and count, found both; keep one");
  EXPECT_EQ(message({}),
            "/selection selection: expected exactly one of ratio and count, found neither; keep "
            "one");
  EXPECT_EQ(message(by_ratio(0)),
            "/selection/ratio selection.ratio: expected more than 0 and at most 1, found 0.000000; "
            "write e.g. 0.3");
  EXPECT_EQ(message(by_ratio(1.5)),
            "/selection/ratio selection.ratio: expected more than 0 and at most 1, found 1.500000; "
            "write e.g. 0.3");
  EXPECT_EQ(message(by_count(7)),
            "/selection/count selection.count: expected at most 6, the blocks of the pool, found "
            "7; lower it, or make block_grouper.block_size smaller");
  EXPECT_EQ(message(by_count(1)),
            "/selection/count selection.count: expected at least 2, the anchor blocks, which are "
            "always selected, found 1; raise it, or lower mask_pattern.anchor_blocks");
}

TEST(Selection, TakesAnchorsThenTheBest) {
  const PoolShape pool = {kLengths, 1, false};
  const auto selection = select_blocks(by_count(3), pool, kRanking);
  EXPECT_EQ(ids_of(selection), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(selection->blocks[0].score, 6) << "an anchor the retriever named keeps its score";
  EXPECT_EQ(selection->blocks[1].score, 8);
  EXPECT_EQ(starts_of(selection), (std::vector<int64_t>{0, 10, 40}));
  EXPECT_EQ(selection->query_start, 90);
  EXPECT_EQ(selection->tokens, 90);
}

TEST(Selection, OrdersAllButTheAnchors) {
  const PoolShape pool = {kLengths, 1, false};
  const auto ordered = [&](BlockOrder order, int64_t count) {
    return ids_of(select_blocks(by_count(count, order), pool, kRanking));
  };
  // By rank: 4, 2, 5, then 1 and 3 that the retriever did not name.
  EXPECT_EQ(ordered(BlockOrder::kIndex, 5), (std::vector<int64_t>{0, 1, 2, 4, 5}));
  EXPECT_EQ(ordered(BlockOrder::kReversed, 5), (std::vector<int64_t>{0, 5, 4, 2, 1}));
  EXPECT_EQ(ordered(BlockOrder::kHighToLow, 6), (std::vector<int64_t>{0, 4, 2, 5, 1, 3}));
  EXPECT_EQ(ordered(BlockOrder::kLowToHigh, 6), (std::vector<int64_t>{0, 3, 1, 5, 2, 4}));
  EXPECT_EQ(ordered(BlockOrder::kMiddle, 6), (std::vector<int64_t>{0, 1, 3, 5, 2, 4}));
  EXPECT_EQ(ordered(BlockOrder::kMiddle, 5), (std::vector<int64_t>{0, 5, 1, 2, 4}));
  EXPECT_EQ(ordered(BlockOrder::kMiddle, 2), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(ordered(BlockOrder::kMiddle, 1), (std::vector<int64_t>{0}));
}

TEST(Selection, FillsInPoolOrderWhatTheRetrieverDoesNotName) {
  const PoolShape pool = {kLengths, 1, false};
  const std::vector<Hit> one = {{3, 1.5}};
  const auto selection = select_blocks(by_count(4), pool, one);
  EXPECT_EQ(ids_of(selection), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(selection->blocks[1].score, std::nullopt);
  EXPECT_EQ(selection->blocks[3].score, 1.5);
  EXPECT_EQ(ids_of(select_blocks(by_count(3), pool, {})), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Selection, OriginalPositionsArePlacesInThePool) {
  const PoolShape pool = {kLengths, 1, false};
  const auto selection =
      select_blocks(by_count(3, BlockOrder::kHighToLow, Positions::kOriginal), pool, kRanking);
  EXPECT_EQ(ids_of(selection), (std::vector<int64_t>{0, 4, 2}));
  EXPECT_EQ(starts_of(selection), (std::vector<int64_t>{0, 100, 30}));
  EXPECT_EQ(selection->query_start, 210);
  EXPECT_EQ(selection->tokens, 90);
}

TEST(Selection, APrefixIsAlwaysInAndShiftsTheRanking) {
  for (const int64_t anchors : {0, 1}) {
    const PoolShape pool = {kLengths, anchors, true};
    const auto selection = select_blocks(by_count(2), pool, std::span(kRanking).first(2));
    EXPECT_EQ(ids_of(selection), (std::vector<int64_t>{0, 3, 5}));
    EXPECT_EQ(selection->blocks[0].score, std::nullopt);
    EXPECT_EQ(selection->blocks[1].score, 8);
  }
  const PoolShape two = {kLengths, 2, true};  // the prefix and block 1
  EXPECT_EQ(ids_of(select_blocks(by_count(2), two, std::vector<Hit>{{4, 9}, {2, 8}})),
            (std::vector<int64_t>{0, 1, 5}));
  const PoolShape alone = {kLengths, 0, true};
  EXPECT_EQ(ids_of(select_blocks(by_count(0), alone, {})), (std::vector<int64_t>{0}))
      << "zero-shot";
  for (const Positions positions : {Positions::kContiguous, Positions::kOriginal}) {
    const SelectionRule none = by_count(0, BlockOrder::kIndex, positions);
    const auto nothing = select_blocks(none, {}, {});
    EXPECT_EQ(ids_of(nothing), std::vector<int64_t>{}) << "zero-shot without a prefix";
    EXPECT_EQ(nothing->query_start, 0);
    EXPECT_TRUE(check_selection_possible(none, {}, 1).ok());
  }
  EXPECT_EQ(select_blocks(by_ratio(1), {}, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Selection, LeavesABlockOutAndClosesUp) {
  const PoolShape pool = {kLengths, 1, false};
  const auto whole = select_blocks(by_count(4, BlockOrder::kHighToLow), pool, kRanking);
  ASSERT_EQ(ids_of(whole), (std::vector<int64_t>{0, 4, 2, 5}));
  const Selection less = leave_out(by_count(4, BlockOrder::kHighToLow), pool, *whole, 1);
  EXPECT_EQ(ids_of(less), (std::vector<int64_t>{0, 2, 5}));
  EXPECT_EQ(starts_of(less), (std::vector<int64_t>{0, 10, 40}));
  EXPECT_EQ(less.query_start, 100);
  EXPECT_EQ(less.tokens, 100);
  EXPECT_EQ(less.blocks[1].score, 8);
  // At their places in the pool the others stay where they are.
  const SelectionRule original = by_count(4, BlockOrder::kIndex, Positions::kOriginal);
  const auto placed = select_blocks(original, pool, kRanking);
  const Selection rest = leave_out(original, pool, *placed, 0);
  EXPECT_EQ(ids_of(rest), (std::vector<int64_t>{2, 4, 5}));
  EXPECT_EQ(starts_of(rest), (std::vector<int64_t>{30, 100, 150}));
  EXPECT_EQ(rest.query_start, placed->query_start);
}

TEST(Selection, RefusesARankingThatIsNone) {
  const PoolShape pool = {kLengths, 1, false};
  const auto message = [&](const std::vector<Hit>& ranking, const PoolShape& shape) {
    const auto selection = select_blocks(by_count(3), shape, ranking);
    if (selection.ok()) return std::string("no error");
    EXPECT_EQ(selection.error().code, ErrorCode::kPlugin);
    return selection.error().message;
  };
  EXPECT_EQ(message({{6, 1}}, pool), "the retriever named document 6 of 6");
  EXPECT_EQ(message({{-1, 1}}, pool), "the retriever named document -1 of 6");
  EXPECT_EQ(message({{2, 2}, {2, 1}}, pool), "the retriever named document 2 twice");
  EXPECT_EQ(message({{5, 1}}, {kLengths, 1, true}), "the retriever named document 5 of 5");
}

// A ranking of k documents selects what a ranking of all would.
TEST(Selection, NeedsNoMoreThanKDocuments) {
  Random random(8);
  for (int round = 0; round < 300; ++round) {
    std::vector<int64_t> lengths(2 + random.below(20));
    for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random.below(9));
    const bool prefix = random.below(2) == 1;
    const PoolShape pool = {lengths, static_cast<int64_t>(random.below(4)), prefix};
    const int64_t documents = static_cast<int64_t>(lengths.size()) - (prefix ? 1 : 0);
    std::vector<int64_t> order(documents);
    std::iota(order.begin(), order.end(), int64_t{0});
    random.shuffle(std::span(order));
    std::vector<Hit> ranking;
    for (const int64_t id : order)
      ranking.push_back({id, 100.0 - static_cast<double>(ranking.size())});
    const SelectionRule rule =
        by_ratio(static_cast<double>(1 + random.below(100)) / 100,
                 static_cast<BlockOrder>(random.below(5)), static_cast<Positions>(random.below(2)));
    const int64_t k = *selection_size(rule, pool);
    const auto all = select_blocks(rule, pool, ranking);
    const auto few = select_blocks(rule, pool, std::span(ranking).first(k));
    EXPECT_EQ(ids_of(all), ids_of(few));
    EXPECT_EQ(starts_of(all), starts_of(few));
    const std::vector<int64_t> ids = ids_of(all);
    EXPECT_EQ(static_cast<int64_t>(ids.size()), k + (prefix ? 1 : 0));
    EXPECT_EQ(std::set<int64_t>(ids.begin(), ids.end()).size(), ids.size());
    for (int64_t a = 0; a < std::min<int64_t>(pool.anchor_blocks, lengths.size()); ++a)
      EXPECT_EQ(ids[a], a) << "anchors first";
  }
}

TEST(Selection, ChecksTheModelsPositions) {
  const PoolShape pool = {kLengths, 1, false};
  const auto contiguous = *select_blocks(by_count(3), pool, kRanking);
  EXPECT_EQ(spanned_positions(contiguous, 10), 100);
  const auto original =
      *select_blocks(by_count(3, BlockOrder::kIndex, Positions::kOriginal), pool, kRanking);
  EXPECT_EQ(spanned_positions(original, 10), 220);
}

TEST(Selection, IsRefusedBeforehandWhereNoQueryCanBeAnswered) {
  // The anchor (10), the two shortest others, and a query of one token; kLengths as above.
  std::vector<int64_t> others(kLengths.begin() + 1, kLengths.end());
  std::sort(others.begin(), others.end());
  const int64_t shortest = kLengths[0] + others[0] + others[1] + 1;
  const int64_t total = std::accumulate(kLengths.begin(), kLengths.end(), int64_t{0});
  const PoolShape pool = {kLengths, 1, false};
  EXPECT_TRUE(check_selection_possible(by_count(3), pool, shortest).ok());
  const std::string least = std::to_string(shortest);
  EXPECT_EQ(check_selection_possible(by_count(3), pool, shortest - 1).error().message,
            "selection: expected at most " + std::to_string(shortest - 1) +
                " positions, the model's, from the first selected block to the query's end, found "
                "at least " +
                least + "; lower selection.ratio or count, or shorten the query");
  // Where blocks keep their places, the anchor stands at 0 and the query after the whole pool.
  const SelectionRule original = by_count(3, BlockOrder::kIndex, Positions::kOriginal);
  EXPECT_TRUE(check_selection_possible(original, pool, total + 1).ok());
  EXPECT_FALSE(check_selection_possible(original, pool, total).ok());
  // Without an anchor the last blocks may be the selected ones.
  const int64_t last = kLengths.end()[-1] + kLengths.end()[-2] + kLengths.end()[-3] + 1;
  EXPECT_TRUE(check_selection_possible(original, {kLengths, 0, false}, last).ok());
  EXPECT_FALSE(check_selection_possible(original, {kLengths, 0, false}, last - 1).ok());
  EXPECT_EQ(check_selection_possible(by_count(99), pool, 1 << 20).error().config_pointer,
            "/selection/count");
}

TEST(Selection, KnowsItsNames) {
  EXPECT_EQ(*parse_block_order("low_to_high"), BlockOrder::kLowToHigh);
  EXPECT_EQ(*parse_block_order("high_to_low"), BlockOrder::kHighToLow);
  EXPECT_EQ(*parse_block_order("index"), BlockOrder::kIndex);
  EXPECT_EQ(*parse_block_order("reversed"), BlockOrder::kReversed);
  EXPECT_EQ(*parse_block_order("middle"), BlockOrder::kMiddle);
  EXPECT_EQ(parse_block_order("best").error().message,
            "selection.order: expected one of index, low_to_high, high_to_low, middle, reversed, "
            "found \"best\"");
  EXPECT_EQ(*parse_positions("contiguous"), Positions::kContiguous);
  EXPECT_EQ(*parse_positions("original"), Positions::kOriginal);
  EXPECT_EQ(parse_positions("x").error().message,
            "selection.positions: expected one of contiguous, original, found \"x\"");
}

}  // namespace
}  // namespace dbsa::testing
