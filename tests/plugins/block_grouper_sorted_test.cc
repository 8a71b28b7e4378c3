// The sorted grouper: by label in byte order, file order within a label.
#include "tests/plugins/block_grouper_under_test.h"

namespace dbsa::testing {
namespace {

TEST(SortedGrouper, SortsByLabelAndKeepsFileOrderWithin) {
  Pool pool;
  for (const char* label : {"b", "a", "B", "b", "a", "", "\xC3\xA9"}) pool.add("x", label, 1);
  EXPECT_EQ(group("block_grouper_sorted", "{}", pool, 3, 7), (Blocks{{5, 2, 1}, {4, 0, 3}, {6}}));
  EXPECT_EQ(group("block_grouper_sorted", "{}", pool, 3, 8), (Blocks{{5, 2, 1}, {4, 0, 3}, {6}}));
}

TEST(SortedGrouper, EveryDemonstrationOnceAndOnlyTheLastBlockSmaller) {
  for (const int64_t count : {1, 2, 49, 50, 51, 100, 777})
    for (const int64_t size : {int64_t{1}, int64_t{3}, int64_t{50}, INT64_MAX / 2})
      expect_valid(group("block_grouper_sorted", "{}", topical_pool(count, 9, 3), size, 0), count,
                   std::min(size, count));
}

}  // namespace
}  // namespace dbsa::testing
