// Log-probabilities of tokens from hidden rows, against extended precision, and bit-identical rows.
#include "tests/backend/plan_case.h"
#include "tests/backend/token_scores.h"
#include "tests/support/sanitized.h"

namespace dbsa::test {
namespace {

TEST(ScoreTokens, EqualsTheOracle) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    double worst = 0;
    for (const int64_t vocabulary : {1, 2, 7, 16, 17, 100, 512, 513, 4099, 33000}) {
      for (const float deviation : {0.1f, 5.0f}) {
        std::mt19937_64 random(static_cast<uint64_t>(vocabulary));
        Backend backend(variant.path, 2, variant.apply({}));
        const int64_t rows = 5, width = 40;
        const Rows x = random_rows(random, rows * width, deviation);
        const auto weight = backend.weight(
            DBSA_WEIGHT_LINEAR,
            random_rows(random, vocabulary * width, 1.0f / std::sqrt(static_cast<float>(width))),
            {vocabulary, width});
        const Asked tokens = draw_tokens(random, rows, vocabulary);
        for (const LogitScale scale : {LogitScale{}, {0.5f, 0}, {1, 3.0f}, {0.25f, 30.0f}}) {
          const Scores got = score_tokens(backend, x, width, weight.get(), scale, tokens);
          const Rows logits = logits_of(backend, x, width, weight.get(), vocabulary, scale);
          const double error = worst_error(got, logits, vocabulary, tokens);
          EXPECT_LE(error, kScoreTolerance) << variant.name() << ", vocabulary " << vocabulary;
          worst = std::max(worst, error);
        }
      }
    }
    std::printf("%s: worst error of a score %.2e\n", variant.name().c_str(), worst);
  }
}

// The scores of rows first..first+count-1.
Scores part_of(const Scores& all, const Asked& tokens, size_t first, size_t count) {
  size_t begin = 0, end = 0;
  for (size_t r = 0; r < first + count; ++r) (r < first ? begin : end) += tokens[r].size();
  const auto cut = [](const auto& from, size_t at, size_t size) {
    return std::decay_t<decltype(from)>(from.begin() + static_cast<std::ptrdiff_t>(at),
                                        from.begin() + static_cast<std::ptrdiff_t>(at + size));
  };
  return {cut(all.values, begin, end), cut(all.best, first, count),
          cut(all.best_values, first, count)};
}

TEST(ScoreTokens, RowsDoNotDependOnThreadsOtherRowsOrOtherTokens) {
  // On a GPU so many that logits of all rows are more than it computes at once.
  const int64_t vocabulary = on_cpu() ? 1300 : 128256;
  const int64_t rows = 300, width = 64;
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    std::mt19937_64 random(17);
    const Rows x = random_rows(random, rows * width);
    const Rows w = random_rows(random, vocabulary * width);
    const Asked tokens = draw_tokens(random, rows, vocabulary);
    Backend one(variant.path, 1, variant.apply({})), three(variant.path, 3, variant.apply({}));
    const auto in_one = one.weight(DBSA_WEIGHT_LINEAR, w, {vocabulary, width});
    const auto in_three = three.weight(DBSA_WEIGHT_LINEAR, w, {vocabulary, width});
    const Scores all = score_tokens(one, x, width, in_one.get(), {}, tokens);
    EXPECT_EQ(all, score_tokens(three, x, width, in_three.get(), {}, tokens)) << variant.name();
    const Scores best = score_tokens(one, x, width, in_one.get(), {}, Asked(tokens.size()));
    EXPECT_EQ(all.best, best.best) << variant.name();
    EXPECT_EQ(all.best_values, best.best_values) << variant.name();
    for (size_t count = 1; count < 150; count += kSanitized ? 47 : 1 + count / 8) {
      const size_t first = count % 7 * 20;
      const Rows some(x.begin() + static_cast<int64_t>(first) * width,
                      x.begin() + static_cast<int64_t>(first + count) * width);
      const Asked asked(tokens.begin() + static_cast<int64_t>(first),
                        tokens.begin() + static_cast<int64_t>(first + count));
      const bool alone = count % 2 == 1;
      EXPECT_EQ(score_tokens(alone ? one : three, some, width,
                             alone ? in_one.get() : in_three.get(), {}, asked),
                part_of(all, tokens, first, count))
          << variant.name() << ", " << count << " rows";
    }
  }
}

// Scores of one row with these logits, each exact in bfloat16.
Scores of_logits(Backend& backend, const Rows& logits, const std::vector<int32_t>& tokens) {
  const auto weight =
      backend.weight(DBSA_WEIGHT_LINEAR, logits, {static_cast<int64_t>(logits.size()), 1});
  return score_tokens(backend, {1.0f}, 1, weight.get(), {}, {tokens});
}

TEST(ScoreTokens, SpecialNumbers) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    Backend backend(variant.path, 1, variant.apply({}));
    for (const size_t count : {3, 16, 40, 1100}) {
      for (size_t place = 0; place < count; place += count < 1000 ? 1 : 73) {
        // The least of equals is the best.
        Rows equal(count, -2.0f);
        equal[place] = equal[count - 1] = 7.0f;
        EXPECT_EQ(of_logits(backend, equal, {}).best[0], static_cast<int32_t>(place));
        // No weight, but a place.
        Rows without(count, 1.0f);
        without[place] = -infinity;
        const auto id = static_cast<int32_t>(place);
        const auto other = static_cast<int32_t>((place + 1) % count);
        const Scores none = of_logits(backend, without, {id, other});
        EXPECT_EQ(none.values[0], -infinity) << variant.name();
        EXPECT_NEAR(none.values[1], -std::log(static_cast<double>(count - 1)), 1e-6)
            << variant.name();
        // All the weight.
        Rows only(count, -infinity);
        only[place] = 5.0f;
        const Scores sure = of_logits(backend, only, {other});
        EXPECT_EQ(sure.best[0], id) << variant.name();
        EXPECT_EQ(sure.best_values[0], 0) << variant.name();
        EXPECT_EQ(sure.values[0], -infinity) << variant.name();
        for (const float bad : {nan, infinity}) {
          for (const float rest : {1.0f, -infinity}) {
            Rows row(count, rest);
            row[place] = bad;
            const Scores scores = of_logits(backend, row, {0, 1});
            EXPECT_TRUE(std::isnan(scores.values[0]) && std::isnan(scores.values[1]) &&
                        std::isnan(scores.best_values[0]))
                << variant.name() << ": " << bad << " at " << place << " of " << count;
            EXPECT_TRUE(scores.best[0] >= 0 && scores.best[0] < static_cast<int32_t>(count));
          }
        }
      }
      const Scores nothing = of_logits(backend, Rows(count, -infinity), {0});
      EXPECT_TRUE(std::isnan(nothing.values[0])) << variant.name();
      EXPECT_TRUE(std::isnan(nothing.best_values[0])) << variant.name();
    }
  }
}

}  // namespace
}  // namespace dbsa::test
