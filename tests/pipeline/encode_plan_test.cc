// What a block's plan asks of the model's positions.
#include "pipeline/encode/encode_plan.h"

#include <gtest/gtest.h>

namespace dbsa {
namespace {

BlockPlan plan_at(int64_t start, const Visible& earlier, int64_t earlier_start) {
  BlockPlan plan;
  plan.start = start;
  plan.segments.push_back({earlier, earlier_start});
  return plan;
}

TEST(PositionsNeeded, ReachFromTheFirstTokenInViewToTheBlocksEnd) {
  EXPECT_EQ(positions_needed(plan_at(100, {0, 0, 20, DBSA_SEGMENT_FULL, 0}, 60), 5), 45);
  EXPECT_EQ(positions_needed(plan_at(100, {0, 0, 20, DBSA_SEGMENT_FULL, 0}, 0), 5), 105);
}

// The block's first row sees itself and the window - 1 tokens before it.
TEST(PositionsNeeded, EndWhereAWindowDoes) {
  EXPECT_EQ(positions_needed(plan_at(100, {0, 0, 60, DBSA_SEGMENT_WINDOW, 10}, 40), 5), 14);
  EXPECT_EQ(positions_needed(plan_at(100, {0, 0, 60, DBSA_SEGMENT_WINDOW, 61}, 40), 5), 65);
  EXPECT_EQ(positions_needed(plan_at(100, {0, 0, 60, DBSA_SEGMENT_WINDOW, 500}, 40), 5), 65);
}

}  // namespace
}  // namespace dbsa
