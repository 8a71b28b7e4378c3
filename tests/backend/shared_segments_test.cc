// Ranges of a plan that begin with the same segments, as branches of a label tree and queries on
// the same blocks do: a backend may attend the rows of several in one go. Each range's rows are,
// bit for bit, those of a plan with only this range.
#include "tests/backend/plan_case.h"
#include "tests/support/sanitized.h"

#include <iostream>

namespace dbsa::test {
namespace {

// Up to `ranges` ranges of few rows, now and then of many. Each sees the first of three long
// blocks, most of them all, then one to three short pieces of the live KV, which come last in it.
PlanCase branches_case(std::mt19937_64& random, const Shape& shape, int64_t ranges) {
  PlanCase c;
  c.shape = shape;
  std::vector<int> blocks;
  std::vector<int64_t> starts;
  int64_t end = 0;
  for (const int64_t most : {1500, 900, 70}) {
    const int64_t tokens = draw(random, most / 2, most);
    blocks.push_back(c.add_kv(random, tokens));
    starts.push_back(end);
    end += tokens;
  }
  const int64_t live_tokens = 300;
  const int live = c.add_kv(random, live_tokens);
  for (int64_t i = 0; i < ranges; ++i) {
    const int64_t seen = draw(random, 0, 9) == 0 ? draw(random, 1, 2) : 3;
    for (size_t b = 0; b < static_cast<size_t>(seen); ++b)
      c.add_segment(blocks[b], DBSA_SEGMENT_FULL, 0, c.kvs[static_cast<size_t>(blocks[b])].tokens,
                    starts[b] + (draw(random, 0, 19) == 0 ? 1 : 0));  // the same block elsewhere
    // The query, which most branches see in full, and their own tokens.
    c.add_segment(live, DBSA_SEGMENT_FULL, 0, draw(random, 0, 4) == 0 ? 17 : 20, end);
    if (draw(random, 0, 1) == 1) c.add_segment(live, DBSA_SEGMENT_FULL, 20 + i % 40, 3, end + 20);
    const int64_t rows = draw(random, 0, 7) == 0 ? draw(random, 20, 80) : draw(random, 1, 3);
    const int64_t own = draw(random, 64, live_tokens - rows);
    c.add_segment(live, DBSA_SEGMENT_CAUSAL, own, rows, end + 23);
    c.add_range(rows, end + 23);
  }
  c.draw_queries(random);
  return c;
}

// One range as a separate plan.
PlanCase only_range(const PlanCase& c, size_t index) {
  PlanCase one = c;
  const dbsa_row_range& range = c.ranges[index];
  const auto slice = [](const auto& all, int64_t first, int64_t count) {
    return std::decay_t<decltype(all)>(all.begin() + first, all.begin() + first + count);
  };
  const int64_t width = c.shape.query_width();
  one.positions = slice(c.positions, range.first_row, range.rows);
  one.q = slice(c.q, range.first_row * width, range.rows * width);
  one.segments = slice(c.segments, range.first_segment, range.segment_count);
  one.kv_of_segment = slice(c.kv_of_segment, range.first_segment, range.segment_count);
  one.ranges = {range};
  one.ranges[0].first_row = one.ranges[0].first_segment = 0;
  return one;
}

TEST(SharedSegments, ARangeIsBitIdenticalToItselfAlone) {
  const uint64_t seed = 2611;
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (const Variant& variant : variants()) {
    for (const int32_t group : kSanitized ? std::vector<int32_t>{2} : std::vector<int32_t>{1, 8}) {
      PlanCase c =
          branches_case(random, variant.apply(head_shape(64, group, 2)), kSanitized ? 12 : 25);
      Backend one(variant.path, 1, c.shape);
      Backend two(variant.path, 2, c.shape);
      const auto handles = c.fill(one);
      const Rows all = one.attend(c.describe(handles), c.q);
      EXPECT_TRUE(same_bits(all, two.attend(c.describe(c.fill(two)), c.q))) << variant.name();
      for (size_t i = 0; i < c.ranges.size(); ++i) {
        PlanCase alone = only_range(c, i);
        const auto first = all.begin() + c.ranges[i].first_row * c.shape.query_width();
        ASSERT_TRUE(same_bits(Rows(first, first + static_cast<std::ptrdiff_t>(alone.q.size())),
                              one.attend(alone.describe(handles), alone.q)))
            << variant.name() << ", group " << group << ", range " << i << ", seed " << seed;
      }
    }
  }
}

TEST(SharedSegments, EqualTheOracle) {
  const uint64_t seed = 2612;
  std::cout << "seed " << seed << "\n";
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(seed);
    PlanCase c = branches_case(random, variant.apply(head_shape(32, 2, 1)), kSanitized ? 6 : 20);
    Backend backend(variant.path, 2, c.shape);
    const auto handles = c.fill(backend);
    const Rows out = backend.attend(c.describe(handles), c.q);
    c.take_back(backend, handles);
    // As in attention_test.cc.
    EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), variant.dot ? 1e-2 : 5e-6)
        << variant.name() << ", seed " << seed;
  }
}

// A token each of many queries on the same blocks, and one of another kind between them.
TEST(SharedSegments, ManySingleRowsOnTheSameBlocks) {
  std::mt19937_64 random(2613);
  for (const Variant& variant : variants()) {
    PlanCase c;
    c.shape = variant.apply(head_shape(32, 4, 1));
    const int block = c.add_kv(random, 1100), other = c.add_kv(random, 40),
              live = c.add_kv(random, 64);
    for (int64_t i = 0; i < 60; ++i) {
      c.add_segment(i == 30 ? other : block, DBSA_SEGMENT_FULL, 0, i == 30 ? 40 : 1100, 0);
      c.add_segment(live, DBSA_SEGMENT_CAUSAL, i, 1, 1100);
      c.add_range(1, 1100);
    }
    c.draw_queries(random);
    Backend backend(variant.path, 1, c.shape);
    const auto handles = c.fill(backend);
    const Rows all = backend.attend(c.describe(handles), c.q);
    for (const size_t i : {0, 22, 23, 29, 30, 31, 59}) {
      PlanCase alone = only_range(c, i);
      const auto first = all.begin() + static_cast<int64_t>(i) * c.shape.query_width();
      EXPECT_TRUE(same_bits(Rows(first, first + c.shape.query_width()),
                            backend.attend(alone.describe(handles), alone.q)))
          << variant.name() << ", range " << i;
    }
  }
}

}  // namespace
}  // namespace dbsa::test
