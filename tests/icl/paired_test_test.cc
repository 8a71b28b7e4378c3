#include "icl/paired_test.h"

#include <gtest/gtest.h>

namespace dbsa::testing {
namespace {

// scipy 1.16, binomtest(better, better + worse).pvalue.
TEST(McNemar, EqualsScipy) {
  const struct {
    int64_t better, worse;
    double p;
  } kReference[] = {{1, 0, 1.0},
                    {5, 0, 0.0625},
                    {6, 1, 0.125},
                    {8, 2, 0.109375},
                    {3, 9, 0.14599609375},
                    {10, 10, 1.0},
                    {25, 11, 0.028816719655878845},
                    {121, 59, 4.4344492637551645e-06},
                    {1000, 900, 0.023108845108901193}};
  for (const auto& c : kReference) {
    EXPECT_NEAR(mcnemar_exact(c.better, c.worse), c.p, 1e-12 + 1e-10 * c.p) << c.better;
    EXPECT_EQ(mcnemar_exact(c.worse, c.better), mcnemar_exact(c.better, c.worse));
  }
  EXPECT_EQ(mcnemar_exact(0, 0), 1);
}

std::vector<LayoutCell> cells(size_t row, const std::vector<double>& values) {
  std::vector<LayoutCell> out;
  for (size_t i = 0; i < values.size(); ++i) out.push_back({row, i, values[i], 1});
  return out;
}

TEST(PairedTest, CountsTextsThatOneAnsweredRightly) {
  const PairedTest test =
      paired_test(cells(0, {1, 1, 1, 1, 1, 1, 0, 0, 1}), cells(0, {0, 0, 0, 0, 0, 0, 1, 0, 1}));
  EXPECT_EQ(test.queries, 9);
  EXPECT_EQ(test.better, 6);
  EXPECT_EQ(test.worse, 1);
  EXPECT_DOUBLE_EQ(test.p, 0.125);
  EXPECT_DOUBLE_EQ(test.p_holm, 0.125);
}

// Ten draws with the same answers say no more about other queries than one.
TEST(PairedTest, DrawsOfATextCountOnce) {
  std::vector<LayoutCell> own, base;
  for (size_t draw = 0; draw < 10; ++draw) {
    for (const LayoutCell& cell : cells(draw, {1, 1, 0})) own.push_back(cell);
    for (const LayoutCell& cell : cells(draw, {0, 0, 0})) base.push_back(cell);
  }
  const PairedTest test = paired_test(own, base);
  EXPECT_EQ(test.queries, 3);
  EXPECT_EQ(test.better, 2);
  EXPECT_DOUBLE_EQ(test.p, 0.5);
}

// Shares of queries of one text: thirds that add up to the same are no difference.
TEST(PairedTest, RoundingIsNoDifference) {
  std::vector<LayoutCell> own, base;
  for (size_t draw = 0; draw < 3; ++draw) {
    own.push_back({draw, 7, 1.0 / 3, 1});
    base.push_back({draw, 7, draw == 1 ? 1.0 : 0.0, 1});
  }
  const PairedTest test = paired_test(own, base);
  EXPECT_EQ(test.better + test.worse, 0);
  EXPECT_EQ(test.p, 1);
  EXPECT_EQ(paired_test({}, {}).queries, 0);
}

// By hand: 5 x 0.005, 4 x 0.01, 3 x 0.03, then 2 x 0.04 = 0.08, which may not be below 0.09.
TEST(Holm, AdjustsInOrder) {
  const std::vector<double> adjusted =
      holm_adjusted(std::vector<double>{0.01, 0.04, 0.03, 0.005, 0.9});
  const std::vector<double> expected = {0.04, 0.09, 0.09, 0.025, 0.9};
  ASSERT_EQ(adjusted.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-15);
  EXPECT_EQ(holm_adjusted(std::vector<double>{0.7, 0.8}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(holm_adjusted({}).empty());
}

}  // namespace
}  // namespace dbsa::testing
