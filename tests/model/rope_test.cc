#include "model/config/rope.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "model/config/model_config.h"
#include "tests/reference/fixtures.h"
#include "tests/reference/oracle_rope.h"

namespace dbsa {
namespace {

int64_t units_apart(float a, float b) {
  return std::abs(int64_t{std::bit_cast<int32_t>(a)} - std::bit_cast<int32_t>(b));
}

class RopeAgainstTransformers : public testing::TestWithParam<std::string> {};

TEST_P(RopeAgainstTransformers, FrequenciesAgree) {
  auto fixture = reference::load_fixture(DBSA_SOURCE_DIR, GetParam());
  ASSERT_TRUE(fixture.ok()) << fixture.error().message;
  auto config = load_model_config(fixture->folder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  const auto mine = rope_inverse_frequencies(config->rope);
  ASSERT_EQ(mine.size(), fixture->inv_freq.size());
  int64_t worst = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    worst = std::max(worst, units_apart(mine[i], fixture->inv_freq[i]));
  }
  std::printf("%-14s at most %lld units in the last place apart\n", GetParam().c_str(),
              static_cast<long long>(worst));
  EXPECT_EQ(worst, 0);
  EXPECT_EQ(rope_attention_factor(config->rope), fixture->attention_factor);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RopeAgainstTransformers,
                         testing::ValuesIn(reference::fixture_names()),
                         [](const auto& param_info) { return param_info.param; });

// Shapes of published models, against the papers in double.
TEST(Rope, AgreesWithThePapersAtFullSize) {
  RopeParameters llama{.kind = RopeKind::kLlama3,
                       .theta = 500000,
                       .head_dim = 128,
                       .factor = 8,
                       .original_max_position_embeddings = 8192};
  RopeParameters qwen{.kind = RopeKind::kYarn,
                      .theta = 1000000,
                      .head_dim = 128,
                      .factor = 4,
                      .original_max_position_embeddings = 32768};
  RopeParameters linear{.kind = RopeKind::kLinear, .theta = 10000, .head_dim = 80, .factor = 2.5};
  for (const RopeParameters& rope : {llama, qwen, linear}) {
    reference::OracleRope oracle{
        .kind = rope_kind_name(rope.kind),
        .theta = rope.theta,
        .head_dim = rope.head_dim,
        .factor = rope.factor,
        .original_length = static_cast<double>(rope.original_max_position_embeddings)};
    const auto expected = reference::oracle_frequencies(oracle);
    const auto found = rope_inverse_frequencies(rope);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i] / expected[i], 1, (8 + std::log(rope.theta)) * 0x1p-24) << i;
    }
  }
}

TEST(Rope, IdentityChangesWithEveryValueInUse) {
  const RopeParameters base{.kind = RopeKind::kYarn,
                            .theta = 10000,
                            .head_dim = 16,
                            .factor = 4,
                            .original_max_position_embeddings = 64};
  const auto differs = [&](auto change) {
    RopeParameters other = base;
    change(other);
    return rope_identity(other) != rope_identity(base);
  };
  EXPECT_FALSE(differs([](auto&) {}));
  EXPECT_TRUE(differs([](auto& r) { r.theta = std::nextafter(r.theta, 20000); }));
  EXPECT_TRUE(differs([](auto& r) { r.factor = 4.001; }));
  EXPECT_TRUE(differs([](auto& r) { r.original_max_position_embeddings = 65; }));
  EXPECT_TRUE(differs([](auto& r) { r.beta_fast = 31; }));
  EXPECT_TRUE(differs([](auto& r) { r.beta_slow = 2; }));
  EXPECT_TRUE(differs([](auto& r) { r.attention_factor = 1.0; }));
  EXPECT_TRUE(differs([](auto& r) { r.kind = RopeKind::kLinear; }));
  EXPECT_TRUE(differs([](auto& r) { r.head_dim = 32; }));
  // Written out or left to its default, it is the same magnitude.
  EXPECT_FALSE(differs([](auto& r) { r.attention_factor = 0.1 * std::log(4.0) + 1.0; }));
  // What the kind does not use does not count.
  EXPECT_FALSE(differs([](auto& r) { r.low_freq_factor = 3; }));
}

}  // namespace
}  // namespace dbsa
