// Plans over several KV objects against the oracle with a dense mask, and what must not depend on
// how the work is cut.

#include <gtest/gtest.h>

#include <iostream>
#include <numeric>
#include <random>

#include "tests/forward/forward_harness.h"
#include "tests/reference/oracle.h"

namespace dbsa {
namespace {

using reference::kFloat32Bound;
using reference::OracleModel;
using reference::to_double;
using reference::worst_row_error;

struct Draw {
  explicit Draw(uint32_t seed) : random(seed) { std::cout << "seed " << seed << "\n"; }
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  std::vector<int32_t> ids(int64_t count, int64_t vocabulary) {
    std::vector<int32_t> drawn;
    for (int64_t i = 0; i < count; ++i)
      drawn.push_back(static_cast<int32_t>(between(0, vocabulary - 1)));
    return drawn;
  }
  std::mt19937 random;
};

class Plans : public ::testing::TestWithParam<const char*> {};

// Blocks that see an anchor and some earlier blocks, then a query that sees a selection, each piece
// in its own KV object and at its own positions.
TEST_P(Plans, BlockSparseEncodingAndAnsweringEqualTheOracle) {
  Draw draw(20250301);
  ForwardHarness harness(fixture_folder(GetParam()), {.precision = kF32});
  const auto oracle = OracleModel::load(fixture_folder(GetParam()));
  ASSERT_TRUE(oracle.ok());
  for (int round = 0; round < 4; ++round) {
    const int64_t blocks = draw.between(3, 6);
    const int64_t anchors = draw.between(0, 2);
    const int64_t previous = draw.between(0, 2);
    // One long sequence for the oracle: blocks at their pool positions, the query behind them.
    std::vector<std::vector<int32_t>> ids;
    std::vector<int64_t> starts;
    std::vector<int32_t> all_ids;
    std::vector<int64_t> block_of;
    for (int64_t b = 0; b <= blocks; ++b) {
      ids.push_back(draw.ids(draw.between(1, 40), oracle->vocabulary()));
      starts.push_back(static_cast<int64_t>(all_ids.size()));
      all_ids.insert(all_ids.end(), ids.back().begin(), ids.back().end());
      block_of.insert(block_of.end(), ids.back().size(), b);
    }
    std::vector<bool> selected;
    for (int64_t b = 0; b < blocks; ++b) selected.push_back(b < anchors || draw.between(0, 1) == 1);
    const auto sees = [&](int64_t row_block, int64_t token_block) {
      if (row_block == token_block) return true;
      if (row_block == blocks) return static_cast<bool>(selected[static_cast<size_t>(token_block)]);
      return token_block < anchors || token_block >= row_block - previous;
    };
    reference::Mask mask(all_ids.size() * all_ids.size(), 0);
    for (size_t row = 0; row < all_ids.size(); ++row)
      for (size_t token = 0; token <= row; ++token)
        mask[row * all_ids.size() + token] = sees(block_of[row], block_of[token]);
    const auto expected = oracle->logits(
        all_ids, reference::plain_positions(static_cast<int64_t>(all_ids.size())), mask);

    // Only distances matter, so the whole pool is moved by an arbitrary number of positions.
    const int64_t shift = draw.between(0, 3000);
    std::vector<host::Kv> kv;
    std::vector<float> got;
    for (int64_t b = 0; b <= blocks; ++b) {
      const auto& own = ids[static_cast<size_t>(b)];
      std::vector<dbsa_segment> visible;
      for (int64_t v = 0; v < b; ++v)
        if (sees(b, v))
          visible.push_back(segment_of(kv[static_cast<size_t>(v)], DBSA_SEGMENT_FULL,
                                       static_cast<int64_t>(ids[static_cast<size_t>(v)].size()),
                                       shift + starts[static_cast<size_t>(v)]));
      kv.push_back(harness.make_kv(static_cast<int64_t>(own.size())));
      const auto logits = harness.pass(own, kv.back(), 0, shift + starts[static_cast<size_t>(b)],
                                       visible, all_rows(static_cast<int64_t>(own.size())));
      got.insert(got.end(), logits.begin(), logits.end());
    }
    const double error = worst_row_error(to_double(got), expected, oracle->vocabulary());
    std::cout << GetParam() << " blocks " << blocks << " anchors " << anchors << " previous "
              << previous << " shift " << shift << ": " << error << "\n";
    EXPECT_LE(error, kFloat32Bound);
  }
}

// Two demonstrations with the same text share one stored block; both may be selected.
TEST_P(Plans, OneBlockMayStandAtTwoPlaces) {
  Draw draw(20250305);
  ForwardHarness harness(fixture_folder(GetParam()), {.precision = kF32});
  const auto ids = draw.ids(20, harness.config().vocab_size);
  const auto query = draw.ids(5, harness.config().vocab_size);
  host::Kv one = harness.make_kv(20), twin = harness.make_kv(20), own = harness.make_kv(5);
  harness.pass(ids, one, 0, 0, {}, {});
  harness.pass(ids, twin, 0, 0, {}, {});
  const auto rows = all_rows(5);
  const auto answer = [&](const host::Kv& second) {
    return harness.pass(
        query, own, 0, 40,
        {segment_of(one, DBSA_SEGMENT_FULL, 20, 0), segment_of(second, DBSA_SEGMENT_FULL, 20, 20)},
        rows);
  };
  EXPECT_EQ(answer(one), answer(twin));
}

TEST_P(Plans, CausalBlocksAllSelectedEqualOnePrefill) {
  Draw draw(20250302);
  ForwardHarness harness(fixture_folder(GetParam()), {.precision = kF32});
  const auto ids = draw.ids(150, harness.config().vocab_size);
  const std::vector<int64_t> last = {149};
  const auto whole = harness.prefill(ids, last);
  std::vector<host::Kv> kv;
  std::vector<dbsa_segment> earlier;
  std::vector<float> logits;
  for (int64_t first = 0; first < 150;) {
    const int64_t end = std::min<int64_t>(150, first + draw.between(1, 40));
    kv.push_back(harness.make_kv(end - first));
    const auto own =
        std::span(ids).subspan(static_cast<size_t>(first), static_cast<size_t>(end - first));
    logits = harness.pass(own, kv.back(), 0, first, earlier, std::vector<int64_t>{end - first - 1});
    earlier.push_back(segment_of(kv.back(), DBSA_SEGMENT_FULL, end - first, first));
    first = end;
  }
  EXPECT_LE(worst_row_error(to_double(logits), to_double(whole), harness.config().vocab_size),
            kFloat32Bound);
}

TEST_P(Plans, LogitsAreBitIdenticalWhateverTheThreadsAndChunks) {
  Draw draw(20250303);
  for (const std::string& path : ForwardHarness::code_paths()) {
    for (const Precision precision : {kF32, kBf16}) {
      ForwardHarness one(fixture_folder(GetParam()),
                         {.precision = precision, .instructions = path, .threads = 1});
      ForwardHarness two(fixture_folder(GetParam()),
                         {.precision = precision, .instructions = path, .threads = 2});
      const auto ids = draw.ids(200, one.config().vocab_size);
      const auto rows = all_rows(static_cast<int64_t>(ids.size()));
      const auto expected = one.prefill(ids, rows);
      for (const int64_t chunk : {0, 1, 7, 64, 133}) {
        EXPECT_EQ(one.prefill(ids, rows, chunk), expected) << path << ", chunk " << chunk;
        EXPECT_EQ(two.prefill(ids, rows, chunk), expected) << path << ", 2 threads, " << chunk;
      }
    }
  }
}

TEST_P(Plans, BeyondFourThousandPositionsEqualTheOracle) {
  Draw draw(20250304);
  ForwardHarness harness(fixture_folder(GetParam()), {.precision = kF32});
  auto oracle = OracleModel::load(fixture_folder(GetParam()));
  ASSERT_TRUE(oracle.ok());
  for (const float f : rope_inverse_frequencies(harness.config().rope))
    oracle->frequencies.push_back(f);
  const int64_t count = 60;
  const auto ids = draw.ids(count, harness.config().vocab_size);
  for (const int64_t gap : {5000, 30000, 90000}) {
    // A first half near the start, the rest `gap` positions later.
    std::vector<int64_t> positions;
    for (int64_t i = 0; i < count; ++i) positions.push_back(i < count / 2 ? i : gap + i);
    const auto expected = oracle->logits(ids, positions, reference::causal_mask(count));
    host::Kv near = harness.make_kv(count / 2), far = harness.make_kv(count / 2);
    const auto rows = all_rows(count / 2);
    auto got = harness.pass(std::span(ids).first(count / 2), near, 0, 0, {}, rows);
    const auto rest = harness.pass(std::span(ids).last(count / 2), far, 0, gap + count / 2,
                                   {segment_of(near, DBSA_SEGMENT_FULL, count / 2, 0)}, rows);
    got.insert(got.end(), rest.begin(), rest.end());
    const double error = worst_row_error(to_double(got), expected, harness.config().vocab_size);
    std::cout << GetParam() << " gap " << gap << ": " << error << "\n";
    EXPECT_LE(error, kFloat32Bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Plans, ::testing::ValuesIn(kVariedModels),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace dbsa
