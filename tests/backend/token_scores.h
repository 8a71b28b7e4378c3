// What tests of score_tokens share.
#pragma once

#include "tests/backend/backend_fixture.h"

namespace dbsa::test {

struct Scores {
  std::vector<double> values;
  std::vector<int32_t> best;
  std::vector<double> best_values;
  bool operator==(const Scores&) const = default;
};

using Asked = std::vector<std::vector<int32_t>>;  // tokens of each row

struct LogitScale {
  float factor = 1.0f;
  float soft_cap = 0.0f;
};

// x: [tokens.size(), width]
inline Scores score_tokens(Backend& backend, const Rows& x, int64_t width,
                           const dbsa_weight* weight, LogitScale scale, const Asked& tokens) {
  std::vector<int64_t> first = {0};
  std::vector<int32_t> ids;
  for (const auto& row : tokens) {
    ids.insert(ids.end(), row.begin(), row.end());
    first.push_back(static_cast<int64_t>(ids.size()));
  }
  auto in = backend.buffer(x, width);
  Scores scores = {std::vector<double>(ids.size()), std::vector<int32_t>(tokens.size()),
                   std::vector<double>(tokens.size())};
  backend.check(backend.table().score_tokens(
      backend.instance(), in.get(), static_cast<int64_t>(tokens.size()), weight, scale.factor,
      scale.soft_cap, first.data(), ids.data(), scores.values.data(), scores.best.data(),
      scores.best_values.data(), backend.error()));
  return scores;
}

// The logits as `linear` and `scale` give them: those of score_tokens to the last bit.
inline Rows logits_of(Backend& backend, const Rows& x, int64_t width, const dbsa_weight* weight,
                      int64_t vocabulary, LogitScale scale) {
  const int64_t rows = static_cast<int64_t>(x.size()) / width;
  auto in = backend.buffer(x, width);
  auto out = backend.buffer(rows, vocabulary);
  backend.check(backend.linear(in.get(), rows, weight, nullptr, nullptr, out.get()));
  backend.check(backend.table().scale(backend.instance(), out.get(), rows, scale.factor,
                                      scale.soft_cap, out.get(), backend.error()));
  return backend.read(out, rows, vocabulary);
}

// Some tokens for every row except the first.
inline Asked draw_tokens(std::mt19937_64& random, int64_t rows, int64_t vocabulary) {
  std::uniform_int_distribution<int32_t> token(0, static_cast<int32_t>(vocabulary - 1));
  Asked tokens(static_cast<size_t>(rows));
  for (size_t r = 1; r < tokens.size(); ++r)
    for (size_t i = 0; i < 3 * (r % 5); ++i) tokens[r].push_back(token(random));
  return tokens;
}

// The largest error of `got` against the log-softmax of these logits, in extended precision. The
// best must be exactly theirs.
inline double worst_error(const Scores& got, const Rows& logits, int64_t vocabulary,
                          const Asked& tokens) {
  double worst = 0;
  size_t at = 0;
  for (size_t r = 0; r < tokens.size(); ++r) {
    const auto begin = logits.begin() + static_cast<int64_t>(r) * vocabulary;
    const auto best = std::max_element(begin, begin + vocabulary);
    long double sum = 0;
    for (auto logit = begin; logit != begin + vocabulary; ++logit)
      sum += std::exp(static_cast<long double>(*logit) - *best);
    const auto error = [&](double value, float logit) {
      return static_cast<double>(
          std::abs(value - (static_cast<long double>(logit) - *best - std::log(sum))));
    };
    EXPECT_EQ(got.best[r], best - begin);
    worst = std::max(worst, error(got.best_values[r], *best));
    for (const int32_t token : tokens[r])
      worst = std::max(worst, error(got.values[at++], begin[token]));
  }
  return worst;
}

// Absolute: 2e-7 from the exponential, as much from sums of a thousand floats, and the rounding of
// logit - largest, at most 30 * 2^-24 for what weighs anything where logits are drawn as here.
constexpr double kScoreTolerance = 1e-6;

}  // namespace dbsa::test
