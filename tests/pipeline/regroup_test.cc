#include "pipeline/pool/regroup.h"

#include <gtest/gtest.h>

namespace dbsa {
namespace {

Pool pool_of(std::vector<std::string> hashes, std::vector<std::vector<int64_t>> groups) {
  Pool pool;
  pool.demonstrations = std::move(hashes);
  for (auto& group : groups) pool.blocks.push_back({std::move(group), {1}, {}});
  return pool;
}

using Groups = std::vector<std::vector<int64_t>>;
using Indices = std::vector<int64_t>;

TEST(Regroup, WithoutAPoolAllAreFresh) {
  const std::vector<std::string> hashes = {"a", "b"};
  const Assignment assignment = keep_assignment(Pool{}, hashes);
  EXPECT_TRUE(assignment.kept.empty());
  EXPECT_EQ(assignment.fresh, (Indices{0, 1}));
}

TEST(Regroup, AnUnchangedPoolKeepsItsBlocks) {
  const std::vector<std::string> hashes = {"a", "b", "c", "d"};
  const Assignment assignment = keep_assignment(pool_of(hashes, {{3, 0}, {2, 1}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{3, 0}, {2, 1}}));
  EXPECT_TRUE(assignment.fresh.empty());
}

TEST(Regroup, AnEditTakesThePlaceOfWhatItReplaces) {
  const std::vector<std::string> hashes = {"a", "B", "c", "d"};
  const Assignment assignment =
      keep_assignment(pool_of({"a", "b", "c", "d"}, {{3, 0}, {2, 1}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{3, 0}, {2, 1}}));
  EXPECT_TRUE(assignment.fresh.empty());
  EXPECT_EQ(assignment.edited, Indices{1});
  EXPECT_EQ(assignment.removed, 0);
}

TEST(Regroup, GrowthIsFreshAndMovesNothing) {
  const std::vector<std::string> hashes = {"new", "a", "b", "c", "d"};
  const Assignment assignment =
      keep_assignment(pool_of({"a", "b", "c", "d"}, {{3, 0}, {2, 1}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{4, 1}, {3, 2}}));
  EXPECT_EQ(assignment.fresh, (Indices{0}));
}

TEST(Regroup, ARemovedDemonstrationShrinksItsBlock) {
  const std::vector<std::string> hashes = {"a", "d"};
  const Assignment assignment =
      keep_assignment(pool_of({"a", "b", "c", "d"}, {{3, 0}, {2, 1}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{1, 0}}));
  EXPECT_EQ(assignment.sources, Indices{0});
  EXPECT_EQ(assignment.removed, 2);
  EXPECT_TRUE(assignment.fresh.empty());
}

TEST(Regroup, RepeatedDemonstrationsAreTakenOneByOne) {
  const std::vector<std::string> hashes = {"a", "a", "a"};
  const Assignment assignment = keep_assignment(pool_of({"a", "a"}, {{1}, {0}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{1}, {0}}));
  EXPECT_EQ(assignment.fresh, (Indices{2}));
}

TEST(Regroup, APrefixBlockHoldsNoDemonstrationAndIsNotKept) {
  const std::vector<std::string> hashes = {"a"};
  const Assignment assignment = keep_assignment(pool_of({"a"}, {{}, {0}}), hashes);
  EXPECT_EQ(assignment.kept, (Groups{{0}}));
}

}  // namespace
}  // namespace dbsa
