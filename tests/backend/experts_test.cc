// Layers of experts against double precision, and bit-identical rows.
#include <array>
#include <numeric>

#include "tests/backend/plan_case.h"
#include "tests/support/sanitized.h"

namespace dbsa::test {
namespace {

struct Sizes {
  int64_t in, inner, out, count, used;
};

struct Gated {
  Rows gate, up, down, down_bias;
};

class ExpertLayer {
 public:
  Sizes sizes;
  bool normalised = true, biases = false;
  uint32_t activation = DBSA_ACTIVATION_SILU;
  Rows router;
  std::vector<Gated> experts;

  ExpertLayer(std::mt19937_64& random, const Sizes& all) : sizes(all) {
    const auto matrix = [&](int64_t rows, int64_t width) {
      return random_rows(random, rows * width, 1.0f / std::sqrt(static_cast<float>(width)));
    };
    router = matrix(sizes.count, sizes.in);
    for (int64_t e = 0; e < sizes.count; ++e)
      experts.push_back({matrix(sizes.inner, sizes.in), matrix(sizes.inner, sizes.in),
                         matrix(sizes.out, sizes.inner), random_rows(random, sizes.out)});
  }

  // As the words of dbsa_expert_weights say, row by row.
  std::vector<double> oracle(const Rows& x, const Rows* residual, bool bf16) const {
    const int64_t rows = static_cast<int64_t>(x.size()) / sizes.in;
    std::vector<double> out;
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<double> in(x.begin() + row * sizes.in, x.begin() + (row + 1) * sizes.in);
      std::vector<double> sum(static_cast<size_t>(sizes.out));
      if (residual != nullptr)
        sum.assign(residual->begin() + row * sizes.out, residual->begin() + (row + 1) * sizes.out);
      const std::vector<double> shares = shares_of(product(in, router, bf16));
      for (size_t e = 0; e < experts.size(); ++e) {
        if (shares[e] == 0) continue;
        const std::vector<double> made = gated(in, experts[e], bf16);
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += shares[e] * made[i];
      }
      out.insert(out.end(), sum.begin(), sum.end());
    }
    return out;
  }

  // The residual, if any, is in the buffer that the result goes to.
  Rows run(Backend& backend, const Rows& x, const Rows* residual) const {
    const Weights weights(backend, *this);
    const int64_t rows = static_cast<int64_t>(x.size()) / sizes.in;
    auto from = backend.buffer(x, sizes.in);
    auto to = residual == nullptr ? backend.buffer(rows, sizes.out)
                                  : backend.buffer(*residual, sizes.out);
    backend.check(backend.table().experts(backend.instance(), from.get(), rows, &weights.all,
                                          residual == nullptr ? nullptr : to.get(), to.get(),
                                          backend.error()));
    return backend.read(to, rows, sizes.out);
  }

  // What one expert makes of x, by the op `gated_mlp`.
  Rows run_expert(Backend& backend, size_t expert, const Rows& x, const Rows* residual) const {
    const Weights weights(backend, *this);
    const int64_t rows = static_cast<int64_t>(x.size()) / sizes.in;
    auto from = backend.buffer(x, sizes.in);
    auto to = residual == nullptr ? backend.buffer(rows, sizes.out)
                                  : backend.buffer(*residual, sizes.out);
    backend.check(backend.table().gated_mlp(
        backend.instance(), from.get(), rows, &weights.gated[expert],
        residual == nullptr ? nullptr : to.get(), to.get(), backend.error()));
    return backend.read(to, rows, sizes.out);
  }

 private:
  struct Weights {
    Weights(Backend& backend, const ExpertLayer& layer) {
      const Sizes& s = layer.sizes;
      const auto linear = [&](const Rows& values, int64_t rows, int64_t width) {
        kept.push_back(backend.weight(DBSA_WEIGHT_LINEAR, values, {rows, width}));
        return kept.back().get();
      };
      for (const Gated& expert : layer.experts) {
        dbsa_gated_mlp_weights own = {};
        own.struct_size = sizeof own;
        own.activation = layer.activation;
        own.gate = linear(expert.gate, s.inner, s.in);
        own.up = linear(expert.up, s.inner, s.in);
        own.down = linear(expert.down, s.out, s.inner);
        if (layer.biases) {
          kept.push_back(backend.weight(DBSA_WEIGHT_VECTOR, expert.down_bias, {s.out}));
          own.down_bias = kept.back().get();
        }
        gated.push_back(own);
      }
      all = {sizeof all, layer.normalised, linear(layer.router, s.count, s.in),
             s.count,    s.used,           gated.data()};
    }
    std::vector<Backend::Handle<dbsa_weight>> kept;
    std::vector<dbsa_gated_mlp_weights> gated;
    dbsa_expert_weights all;
  };

  static std::vector<double> product(const std::vector<double>& x, const Rows& w, bool bf16) {
    const auto rounded = [&](double value) {
      const auto single = static_cast<float>(value);
      return bf16 ? double{round_bf16(single)} : value;
    };
    std::vector<double> out(w.size() / x.size());
    for (size_t n = 0; n < out.size(); ++n)
      for (size_t i = 0; i < x.size(); ++i)
        out[n] += rounded(x[i]) * rounded(double{w[n * x.size() + i]});
    return out;
  }

  std::vector<double> gated(const std::vector<double>& x, const Gated& expert, bool bf16) const {
    const std::vector<double> g = product(x, expert.gate, bf16), u = product(x, expert.up, bf16);
    std::vector<double> hidden;
    for (size_t i = 0; i < g.size(); ++i) {
      const double v = g[i];
      const double gelu =
          v * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v))) / 2;
      hidden.push_back((activation == DBSA_ACTIVATION_SILU ? v / (1 + std::exp(-v)) : gelu) * u[i]);
    }
    std::vector<double> out = product(hidden, expert.down, bf16);
    for (size_t i = 0; biases && i < out.size(); ++i) out[i] += double{expert.down_bias[i]};
    return out;
  }

  // [count], 0 for those the row does not get.
  std::vector<double> shares_of(const std::vector<double>& scores) const {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    double all = 0, chosen = 0;
    for (const double score : scores) all += std::exp(score);
    std::vector<double> shares(scores.size());
    for (int64_t i = 0; i < sizes.used; ++i) {
      const size_t expert = order[static_cast<size_t>(i)];
      chosen += shares[expert] = std::exp(scores[expert]) / all;
    }
    for (double& share : shares) share /= normalised ? chosen : 1;
    return shares;
  }
};

class Experts : public testing::Test {
 protected:
  void SetUp() override {
    if (!on_cpu()) GTEST_SKIP() << "declined by name";
  }
};

TEST_F(Experts, EqualTheOracle) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    const bool bf16 = variant.compute == DBSA_COMPUTE_BF16;
    double worst = 0;
    for (const Sizes& sizes : {Sizes{48, 40, 48, 8, 2},
                               {33, 17, 5, 5, 3},
                               {64, 40, 80, 64, 8},
                               {16, 8, 16, 1, 1},
                               {96, 100, 96, 4, 4}}) {
      std::mt19937_64 random(static_cast<uint64_t>(sizes.in * 10007 + sizes.count));
      ExpertLayer layer(random, sizes);
      const int64_t rows = kSanitized ? 11 : 37;
      const Rows x = random_rows(random, rows * sizes.in);
      const Rows residual = random_rows(random, rows * sizes.out);
      Backend backend(variant.path, 2, variant.apply({}));
      for (const int form : {0, 1, 2, 3}) {
        layer.normalised = form % 2 == 1;
        layer.biases = form >= 2;
        layer.activation = form >= 2 ? DBSA_ACTIVATION_GELU_TANH : DBSA_ACTIVATION_SILU;
        for (const Rows* added : {static_cast<const Rows*>(nullptr), &residual}) {
          const Rows got = layer.run(backend, x, added);
          const double error = worst_row_error(got, layer.oracle(x, added, bf16), sizes.out);
          // Those of a gated layer; shares add less. See GatedMlp.EqualsTheOracle.
          EXPECT_LE(error, bf16 ? 6e-3 : 4e-6)
              << variant.name() << ", " << sizes.used << " of " << sizes.count << ", form " << form;
          worst = std::max(worst, error);
          if (added != nullptr || sizes.used == sizes.count) continue;
          // Another rule is another result.
          ExpertLayer other = layer;
          other.normalised = !layer.normalised;
          EXPECT_GT(worst_row_error(got, other.oracle(x, added, bf16), sizes.out), 0.02);
          other = layer;
          ++other.sizes.used;
          EXPECT_GT(worst_row_error(got, other.oracle(x, added, bf16), sizes.out), 0.02);
        }
      }
    }
    std::printf("%s: worst row error of experts %.2e\n", variant.name().c_str(), worst);
  }
}

TEST_F(Experts, RowsDoNotDependOnThreadsOrOtherRows) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    std::mt19937_64 random(61);
    const ExpertLayer layer(random, {256, 72, 40, 12, 3});
    const int64_t rows = kSanitized ? 100 : 400;
    const Rows x = random_rows(random, rows * layer.sizes.in);
    const Rows residual = random_rows(random, rows * layer.sizes.out);
    Backend one(variant.path, 1, variant.apply({})), two(variant.path, 2, variant.apply({}));
    const Rows all = layer.run(one, x, &residual);
    EXPECT_TRUE(same_bits(all, layer.run(two, x, &residual))) << variant.name();
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{0, 1}, {17, 1}, {20, 2}, {31, 5}, {40, 60}, {99, 1}}) {
      const auto part = [first = first, count = count](const Rows& of, int64_t width) {
        return Rows(of.begin() + first * width, of.begin() + (first + count) * width);
      };
      const Rows added = part(residual, layer.sizes.out);
      EXPECT_TRUE(
          same_bits(layer.run(two, part(x, layer.sizes.in), &added), part(all, layer.sizes.out)))
          << variant.name() << ", " << count << " rows from " << first;
    }
  }
}

TEST_F(Experts, AnOnlyExpertIsAGatedLayer) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    std::mt19937_64 random(67);
    const ExpertLayer layer(random, {64, 48, 64, 1, 1});
    const Rows x = random_rows(random, 21 * 64), residual = random_rows(random, 21 * 64);
    Backend backend(variant.path, 2, variant.apply({}));
    EXPECT_TRUE(
        same_bits(layer.run(backend, x, &residual), layer.run_expert(backend, 0, x, &residual)))
        << variant.name();
  }
}

TEST_F(Experts, EqualScoresGoToTheLeastOnes) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(71);
    ExpertLayer layer(random, {32, 24, 32, 4, 2});
    std::fill(layer.router.begin(), layer.router.end(), 0.0f);
    Backend backend(path, 2, {});
    const Rows x = random_rows(random, 7 * 32);
    const Rows first = layer.run_expert(backend, 0, x, nullptr),
               second = layer.run_expert(backend, 1, x, nullptr);
    for (const bool normalised : {true, false}) {
      layer.normalised = normalised;
      const float share = normalised ? 0.5f : 0.25f;
      Rows expected;
      for (size_t i = 0; i < first.size(); ++i)
        expected.push_back(share * first[i] + share * second[i]);
      EXPECT_TRUE(same_bits(layer.run(backend, x, nullptr), expected)) << path;
    }
  }
}

// What is no number stays in its row.
TEST_F(Experts, NotANumberIsNotHidden) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(73);
    const ExpertLayer layer(random, {32, 24, 16, 6, 2});
    Backend backend(path, 2, {});
    Rows x = random_rows(random, 5 * 32);
    const Rows sound = layer.run(backend, x, nullptr);
    x[2 * 32 + 9] = std::numeric_limits<float>::quiet_NaN();
    const Rows got = layer.run(backend, x, nullptr);
    for (size_t i = 0; i < got.size(); ++i) {
      if (i / 16 == 2)
        EXPECT_TRUE(std::isnan(got[i])) << path << ", " << i;
      else
        EXPECT_EQ(got[i], sound[i]) << path << ", " << i;
    }
  }
}

}  // namespace
}  // namespace dbsa::test
