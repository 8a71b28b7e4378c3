// Block-Attention: a block encoded by itself serves any prompt at any place.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <numeric>
#include <random>

#include "model/config/rope.h"
#include "tests/forward/forward_harness.h"
#include "tests/reference/oracle.h"

namespace dbsa {
namespace {

std::vector<int32_t> draw_ids(std::mt19937& random, int64_t count, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(
        static_cast<int32_t>(std::uniform_int_distribution<int64_t>(0, vocabulary - 1)(random)));
  return ids;
}

class BlockAttention : public ::testing::TestWithParam<const char*> {};

// Two blocks were encoded once, each at 0. A query that follows one of them at `offset`, the other
// standing near 0, equals a prompt in which both were encoded at those places; and so when the
// blocks change places.
TEST_P(BlockAttention, AStoredBlockAtAnyOffsetEqualsEncodingItThere) {
  std::mt19937 random(20250801);
  std::cout << "seed 20250801\n";
  ForwardHarness harness(fixture_folder(GetParam()), {.precision = kF32});
  auto oracle = reference::OracleModel::load(fixture_folder(GetParam()));
  ASSERT_TRUE(oracle.ok());
  for (const float f : rope_inverse_frequencies(harness.config().rope))
    oracle->frequencies.push_back(f);
  const int64_t vocabulary = harness.config().vocab_size;
  const auto first = draw_ids(random, 33, vocabulary), second = draw_ids(random, 21, vocabulary);
  const auto query = draw_ids(random, 9, vocabulary);
  host::Kv one = harness.make_kv(33), two = harness.make_kv(21), own = harness.make_kv(9);
  harness.pass(first, one, 0, 0, {}, {});  // encoded once, at 0
  harness.pass(second, two, 0, 0, {}, {});

  for (const int64_t offset : {0, 1, 17, 1000, 4095, 20000, 65000, 90000}) {
    for (const bool swapped : {false, true}) {
      // The oracle encodes both at their places; the query sees all.
      const auto& near = swapped ? second : first;
      const auto& far = swapped ? first : second;
      std::vector<int32_t> ids(near);
      ids.insert(ids.end(), far.begin(), far.end());
      ids.insert(ids.end(), query.begin(), query.end());
      const size_t cut = near.size(), end = near.size() + far.size();
      std::vector<int64_t> positions;
      for (size_t i = 0; i < ids.size(); ++i)
        positions.push_back((i < cut ? 0 : offset) + static_cast<int64_t>(i));
      reference::Mask mask(ids.size() * ids.size(), 0);
      for (size_t row = 0; row < ids.size(); ++row)
        for (size_t token = 0; token <= row; ++token)
          mask[row * ids.size() + token] = row >= end || (row < cut) == (token < cut);
      const reference::Matrix logits = oracle->logits(ids, positions, mask);
      const auto expected = std::span(logits).subspan(end * static_cast<size_t>(vocabulary));

      const auto got =
          harness.pass(query, own, 0, offset + static_cast<int64_t>(end),
                       {segment_of(one, DBSA_SEGMENT_FULL, 33, swapped ? offset + 21 : 0),
                        segment_of(two, DBSA_SEGMENT_FULL, 21, swapped ? 0 : offset + 33)},
                       all_rows(9));
      const double error =
          reference::worst_row_error(reference::to_double(got), expected, vocabulary);
      std::cout << GetParam() << " offset " << offset << (swapped ? " swapped: " : ": ") << error
                << "\n";
      EXPECT_LE(error, reference::kFloat32Bound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BlockAttention, ::testing::ValuesIn(kVariedModels),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace dbsa
