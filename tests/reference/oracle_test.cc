// The oracle against transformers' logits.
#include "tests/reference/oracle.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/fixtures.h"

namespace dbsa::reference {
namespace {

// transformers forms position * inv_freq in float32: an angle below 600 is off by up to 2^-15, half
// a unit in the last place, 3e-5; a score by that times a fraction of its size. Its sums of up to
// 600 float32 terms add about as much. Wrong parameters give errors above 1e-3, see below.
constexpr double kTolerance = 3e-5;

class OracleAgainstTransformers : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto loaded = load_fixture(DBSA_SOURCE_DIR, GetParam());
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    fixture = std::move(*loaded);
  }

  OracleModel load(const OracleOptions& options = {}) {
    auto model = OracleModel::load(fixture.folder, options);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(*model);
  }

  double error(const OracleModel& model, const FixtureCase& c, const std::vector<float>& expected) {
    const Matrix all = model.logits(c.ids, plain_positions(c.length), causal_mask(c.length));
    return worst_row_error(take_rows(all, c.rows, fixture.vocabulary), to_double(expected),
                           fixture.vocabulary);
  }

  Fixture fixture;
};

TEST_P(OracleAgainstTransformers, LogitsAgree) {
  const OracleModel model = load();
  for (const FixtureCase& c : fixture.cases) {
    const double e = error(model, c, c.logits);
    std::printf("%-14s length %4lld error %.2e\n", fixture.name.c_str(),
                static_cast<long long>(c.length), e);
    EXPECT_LE(e, kTolerance) << c.length;
  }
}

TEST_P(OracleAgainstTransformers, LogitsOfRoundedWeightsAgree) {
  const OracleModel model = load({.round_weights_to_bf16 = true});
  for (const FixtureCase& c : fixture.cases) {
    EXPECT_LE(error(model, c, c.logits_bf16_weights), kTolerance) << c.length;
    // Rounding the weights is far more than the tolerance: the two references are not mixed up.
    EXPECT_GT(error(model, c, c.logits), 1e-3) << c.length;
  }
}

TEST_P(OracleAgainstTransformers, FrequenciesAgree) {
  const OracleModel model = load();
  const auto mine = oracle_frequencies(model.rope);
  ASSERT_EQ(mine.size(), fixture.inv_freq.size());
  for (size_t i = 0; i < mine.size(); ++i) {
    // transformers rounds to float32 the exponent, which counts ln(theta) times, and some four
    // results.
    const double tolerance = (4 + std::log(model.rope.theta)) * 0x1p-24;
    EXPECT_NEAR(mine[i] / fixture.inv_freq[i], 1.0, tolerance) << i;
  }
  EXPECT_NEAR(oracle_magnitude(model.rope), fixture.attention_factor, 1e-15);
}

TEST_P(OracleAgainstTransformers, WrongRopeIsNoticed) {
  const OracleModel right = load();
  const std::string& kind = right.rope.kind;
  std::vector<std::pair<std::string, OracleModel>> wrong;
  const auto with = [&](const std::string& what, auto change) {
    wrong.emplace_back(what, right);
    change(wrong.back().second.rope);
  };
  with("theta", [](OracleRope& r) { r.theta *= 1.05; });
  if (kind != "default") with("factor", [](OracleRope& r) { r.factor *= 1.05; });
  if (kind != "default") with("kind", [](OracleRope& r) { r.kind = "default"; });
  if (kind == "llama3") {
    with("low_freq_factor", [](OracleRope& r) { r.low_freq_factor *= 1.5; });
    with("high_freq_factor", [](OracleRope& r) { r.high_freq_factor *= 1.5; });
  }
  if (kind == "llama3" || kind == "yarn") {
    with("original length", [](OracleRope& r) { r.original_length *= 2; });
  }
  if (kind == "yarn") {
    with("magnitude", [](OracleRope& r) { r.magnitude = oracle_magnitude(r) * 1.01; });
    with("magnitude once instead of squared",
         [](OracleRope& r) { r.magnitude = std::sqrt(oracle_magnitude(r)); });
    with("beta_fast", [](OracleRope& r) { r.beta_fast /= 4; });
    with("beta_slow", [](OracleRope& r) { r.beta_slow *= 4; });
  }
  for (const auto& [what, model] : wrong) {
    // Above the engine's own bound by a clear margin, in at least one case.
    double worst = 0;
    for (const FixtureCase& c : fixture.cases) {
      worst = std::max(worst, error(model, c, c.logits));
      if (worst > 10 * kFloat32Bound) break;
    }
    std::printf("%-14s wrong %s: error %.2e\n", fixture.name.c_str(), what.c_str(), worst);
    EXPECT_GT(worst, 10 * kFloat32Bound) << what;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, OracleAgainstTransformers, testing::ValuesIn(fixture_names()),
                         [](const auto& param_info) { return param_info.param; });

TEST(Oracle, AttentionDependsOnDistancesAlone) {
  auto model =
      OracleModel::load(std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/llama_yarn");
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::vector<int32_t> ids = {3, 1, 4, 1, 5};
  const Matrix near = model->logits(ids, {0, 1, 2, 3, 4}, causal_mask(5));
  const Matrix far = model->logits(ids, {900, 901, 902, 903, 904}, causal_mask(5));
  const Matrix apart = model->logits(ids, {0, 1, 2, 3, 40}, causal_mask(5));
  EXPECT_LE(worst_row_error(far, near, model->vocabulary()), 1e-10);
  EXPECT_GT(worst_row_error(apart, near, model->vocabulary()), 1e-3);
}

TEST(Oracle, MaskHidesTokens) {
  auto model = OracleModel::load(std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/llama2");
  ASSERT_TRUE(model.ok()) << model.error().message;
  Mask alone = causal_mask(3);
  alone[2 * 3 + 0] = alone[2 * 3 + 1] = 0;
  std::vector<OracleKv> kv;
  const Matrix masked = model->logits({7, 8, 9}, {0, 1, 2}, alone, &kv);
  const Matrix single = model->logits({9}, {2}, {1});
  const int64_t width = model->vocabulary();
  EXPECT_LE(worst_row_error(take_rows(masked, std::vector<int64_t>{2}, width), single, width),
            1e-12);
  ASSERT_EQ(kv.size(), static_cast<size_t>(model->layers()));
  EXPECT_EQ(kv[0].keys.size(), static_cast<size_t>(3 * model->kv_heads() * model->head_dim()));
  // Position 0 turns nothing.
  EXPECT_EQ(kv[1].keys[0], kv[1].rotated_keys[0]);
  EXPECT_NE(kv[1].keys.back(), kv[1].rotated_keys.back());
}

TEST(Oracle, RoundsToNearestEven) {
  EXPECT_EQ(round_to_bf16(1.0f), 1.0f);
  EXPECT_EQ(round_to_bf16(1.0f + 0x1p-8f), 1.0f);                // tie, even below
  EXPECT_EQ(round_to_bf16(1.0f + 3 * 0x1p-8f), 1.0f + 0x1p-6f);  // tie, even above
  EXPECT_EQ(round_to_bf16(1.0f + 0x1.02p-8f), 1.0f + 0x1p-7f);
  EXPECT_EQ(round_to_bf16(-1.0f - 0x1.02p-8f), -1.0f - 0x1p-7f);
}

TEST(Fixtures, ErrorOfNanIsInfinite) {
  EXPECT_EQ(worst_row_error(std::vector<double>{1, NAN}, std::vector<double>{1, 1}, 2), HUGE_VAL);
  EXPECT_EQ(worst_row_error(std::vector<double>{1}, std::vector<double>{1, 1}, 2), HUGE_VAL);
}

}  // namespace
}  // namespace dbsa::reference
