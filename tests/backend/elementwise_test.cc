// Norm, activation and row copies against double precision.
#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

// x: [rows, width]
std::vector<double> layer_norm_oracle(const Rows& x, const Rows& weight, const Rows& bias,
                                      int64_t width, float epsilon) {
  std::vector<double> out;
  const auto w = static_cast<size_t>(width);
  for (size_t row = 0; row < x.size(); row += w) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < w; ++i) mean += static_cast<double>(x[row + i]);
    mean /= static_cast<double>(w);
    for (size_t i = 0; i < w; ++i) {
      const double distance = static_cast<double>(x[row + i]) - mean;
      variance += distance * distance;
    }
    variance /= static_cast<double>(w);
    for (size_t i = 0; i < w; ++i) {
      const double scaled = (static_cast<double>(x[row + i]) - mean) /
                            std::sqrt(variance + static_cast<double>(epsilon));
      out.push_back(scaled * static_cast<double>(weight[i]) + static_cast<double>(bias[i]));
    }
  }
  return out;
}

TEST(Elementwise, RmsNorm) {
  for (const std::string& path : code_paths()) {
    double worst = 0;
    for (const int64_t width : {1, 7, 48, 100, 768, 4096}) {
      std::mt19937_64 random(static_cast<uint64_t>(width));
      Backend backend(path, 2, {});
      const int64_t rows = 19;
      const float epsilon = 1e-5f;
      const Rows x = random_rows(random, rows * width, 3.0f);
      const Rows w = random_rows(random, width);
      auto in = backend.buffer(x, width);
      auto out = backend.buffer(rows, width);
      auto weight = backend.weight(DBSA_WEIGHT_VECTOR, w, {width});
      backend.check(backend.table().rms_norm(backend.instance(), in.get(), rows, weight.get(),
                                             epsilon, out.get(), backend.error()));
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        double squares = 0;
        for (int64_t i = 0; i < width; ++i) {
          const double value = x[static_cast<size_t>(r * width + i)];
          squares += value * value;
        }
        const double by = 1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
        for (int64_t i = 0; i < width; ++i) {
          expected.push_back(static_cast<double>(x[static_cast<size_t>(r * width + i)]) * by *
                             static_cast<double>(w[static_cast<size_t>(i)]));
        }
      }
      worst = std::max(worst, worst_row_error(backend.read(out, rows, width), expected, width));
    }
    EXPECT_LE(worst, 1e-6) << path;
    std::printf("%s: rms_norm worst row error %.2e\n", path.c_str(), worst);
  }
}

// By heads: each group of the weight's width has its own norm, also in place.
TEST(Elementwise, RmsNormOfGroups) {
  for (const std::string& path : code_paths()) {
    for (const auto& [group, groups] : {std::pair<int64_t, int64_t>{64, 3}, {20, 5}, {1, 4}}) {
      const uint64_t seed = 60 + static_cast<uint64_t>(group);
      std::mt19937_64 random(seed);
      Backend backend(path, 2, {});
      const int64_t rows = 11, width = group * groups;
      const Rows x = random_rows(random, rows * width, 2.0f), w = random_rows(random, group);
      auto all = backend.buffer(x, width);
      auto apart = backend.buffer(x, group);  // the same memory, a group a row
      auto weight = backend.weight(DBSA_WEIGHT_VECTOR, w, {group});
      auto expected = backend.buffer(rows * groups, group);
      const auto norm = [&](const auto& from, int64_t count, const auto& to) {
        backend.check(backend.table().rms_norm(backend.instance(), from.get(), count, weight.get(),
                                               1e-6f, to.get(), backend.error()));
      };
      norm(apart, rows * groups, expected);
      norm(all, rows, all);
      EXPECT_TRUE(
          same_bits(backend.read(all, rows, width), backend.read(expected, rows * groups, group)))
          << path << ", group " << group << ", seed " << seed;
      EXPECT_FALSE(same_bits(backend.read(all, rows, width), x)) << path;
    }
  }
}

TEST(Elementwise, AddWithAFactor) {
  for (const std::string& path : code_paths()) {
    const uint64_t seed = 71;
    std::mt19937_64 random(seed);
    Backend backend(path, 2, {});
    const int64_t rows = 13, width = 333;
    const Rows x = random_rows(random, rows * width), y = random_rows(random, rows * width);
    std::vector<double> expected;
    for (size_t i = 0; i < x.size(); ++i)
      expected.push_back(static_cast<double>(x[i]) + 0.22 * static_cast<double>(y[i]));
    for (const int place : {0, 1, 2}) {  // a separate buffer, x, y
      auto a = backend.buffer(x, width), b = backend.buffer(y, width);
      auto own = backend.buffer(rows, width);
      const auto& out = place == 0 ? own : place == 1 ? a : b;
      backend.check(backend.table().add(backend.instance(), a.get(), rows, b.get(), 0.22f,
                                        out.get(), backend.error()));
      EXPECT_LE(worst_row_error(backend.read(out, rows, width), expected, width), 2e-7)
          << path << ", seed " << seed;
    }
  }
}

// tanh errs by 3e-7, the product before it by half a unit in the last place, which a small argument
// passes on.
TEST(Elementwise, ScaleWithACap) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 2, {});
    Rows x = {0.0f, 1e-30f, -1e-30f, 3e38f, -3e38f};
    for (float value = -40.0f; value < 40.0f; value += 0.00317f) x.push_back(value);
    const auto width = static_cast<int64_t>(x.size());
    for (const float cap : {0.0f, 3.0f, 30.0f}) {
      auto in = backend.buffer(x, width);
      backend.check(backend.table().scale(backend.instance(), in.get(), 1, 0.7f, cap, in.get(),
                                          backend.error()));
      const Rows got = backend.read(in, 1, width);
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double scaled = static_cast<double>(0.7f) * static_cast<double>(x[i]);
        const double limit = static_cast<double>(cap);
        const double expected = cap > 0 ? limit * std::tanh(scaled / limit) : scaled;
        const double error = std::fabs(static_cast<double>(got[i]) - expected);
        EXPECT_LE(error, 6e-7 * std::fabs(expected) + 1e-37) << path << ": " << x[i];
        if (expected != 0) worst = std::max(worst, error / std::fabs(expected));
      }
      std::printf("%s: scale with cap %g, worst relative error %.2e\n", path.c_str(),
                  static_cast<double>(cap), worst);
    }
  }
}

// The mean of a row may be far larger than its spread. Rounding the mean and the distances from it
// costs a row of standard deviation 1 some mean * 2^-24 each.
TEST(Elementwise, LayerNorm) {
  for (const std::string& path : code_paths()) {
    for (const float offset : {0.0f, 100.0f}) {
      double worst = 0;
      for (const int64_t width : {2, 7, 48, 100, 384, 768, 4096}) {
        std::mt19937_64 random(static_cast<uint64_t>(width));
        Backend backend(path, 2, {});
        const int64_t rows = 19;
        Rows x = random_rows(random, rows * width);
        for (float& value : x) value += offset;
        const Rows w = random_rows(random, width), b = random_rows(random, width);
        auto in = backend.buffer(x, width);
        auto out = backend.buffer(rows, width);
        auto weight = backend.weight(DBSA_WEIGHT_VECTOR, w, {width});
        auto bias = backend.weight(DBSA_WEIGHT_VECTOR, b, {width});
        backend.check(backend.table().layer_norm(backend.instance(), in.get(), rows, weight.get(),
                                                 bias.get(), 1e-2f, out.get(), backend.error()));
        const std::vector<double> expected = layer_norm_oracle(x, w, b, width, 1e-2f);
        worst = std::max(worst, worst_row_error(backend.read(out, rows, width), expected, width));
      }
      // epsilon bounds what a narrow row with two nearly equal values magnifies: by 1 / 0.1.
      EXPECT_LE(worst, 1e-6 + 10 * 3 * (1 + static_cast<double>(offset)) * 0x1p-24) << path;
      std::printf("%s: layer_norm worst row error %.2e at mean %g\n", path.c_str(), worst,
                  static_cast<double>(offset));
    }
  }
}

// Relative to the true value: 6e-7 from the tail's polynomial, exponential and products, and
// half an ulp of the exponent x^2 / 2, which the exponential magnifies, twice (square and halving).
TEST(Elementwise, Gelu) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 2, {});
    Rows x = {0.0f, 1e-30f, -1e-30f, 1e-5f, -1e-5f};
    for (float value = -12.9f; value < 20.0f; value += 0.00117f) x.push_back(value);
    const auto width = static_cast<int64_t>(x.size());
    for (const bool in_place : {false, true}) {
      auto in = backend.buffer(x, width);
      auto other = backend.buffer(1, width);
      auto& out = in_place ? in : other;
      backend.check(
          backend.table().gelu(backend.instance(), in.get(), 1, out.get(), backend.error()));
      const Rows got = backend.read(out, 1, width);
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double value = x[i];
        const double expected = value * 0.5 * std::erfc(-value * std::sqrt(0.5));
        const double error = std::fabs(static_cast<double>(got[i]) - expected);
        const double exponent = value < 0 ? value * value / 2 : 0;
        EXPECT_LE(error, std::fabs(expected) * (8e-7 + 2 * exponent * 0x1p-24)) << path << value;
        if (expected != 0) worst = std::max(worst, error / std::fabs(expected));
      }
      if (!in_place) std::printf("%s: gelu worst relative error %.2e\n", path.c_str(), worst);
    }
  }
}

TEST(Elementwise, GeluOfExtremes) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 1, {});
    const float infinite = std::numeric_limits<float>::infinity();
    auto x = backend.buffer({-1000.0f, 1000.0f, 0.0f, -0.0f, -3e38f, 3e38f, infinite}, 7);
    backend.check(backend.table().gelu(backend.instance(), x.get(), 1, x.get(), backend.error()));
    EXPECT_EQ(backend.read(x, 1, 7), (Rows{0.0f, 1000.0f, 0.0f, 0.0f, 0.0f, 3e38f, infinite}))
        << path;
    auto nan = backend.buffer(Rows{std::nanf("")}, 1);
    backend.check(
        backend.table().gelu(backend.instance(), nan.get(), 1, nan.get(), backend.error()));
    EXPECT_TRUE(std::isnan(backend.read(nan, 1, 1)[0])) << path;
  }
}

TEST(Elementwise, RowsDoNotDependOnThreadsOrOtherRows) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(2);
    const int64_t rows = 57;
    const int64_t width = 333;
    const Rows x = random_rows(random, rows * width);
    const Rows w = random_rows(random, width);
    Backend one(path, 1, {});
    Backend two(path, 2, {});
    Rows results[2];
    for (Backend* backend : {&one, &two}) {
      auto in = backend->buffer(x, width);
      auto out = backend->buffer(rows, width);
      auto weight = backend->weight(DBSA_WEIGHT_VECTOR, w, {width});
      backend->check(backend->table().rms_norm(backend->instance(), in.get(), rows, weight.get(),
                                               1e-6f, out.get(), backend->error()));
      backend->check(backend->table().layer_norm(backend->instance(), out.get(), rows, weight.get(),
                                                 weight.get(), 1e-6f, in.get(), backend->error()));
      backend->check(
          backend->table().gelu(backend->instance(), in.get(), rows, out.get(), backend->error()));
      results[backend == &two] = backend->read(out, rows, width);
    }
    EXPECT_TRUE(same_bits(results[0], results[1])) << path;
  }
}

TEST(Elementwise, GatherRowsAndTransfers) {
  Backend backend(any_path(), 1, {});
  auto x = backend.buffer({1, 2, 3, 4, 5, 6}, 2);
  auto out = backend.buffer(4, 2);
  const int64_t indices[] = {2, 0, 2};
  backend.check(backend.table().gather_rows(backend.instance(), x.get(), indices, 3, out.get(),
                                            backend.error()));
  EXPECT_EQ(backend.read(out, 3, 2), (Rows{5, 6, 1, 2, 5, 6}));
  const float patch[] = {9, 8};
  backend.check(backend.table().upload(backend.instance(), patch, 1, 1, x.get(), backend.error()));
  EXPECT_EQ(backend.read(x, 3, 2), (Rows{1, 2, 9, 8, 5, 6}));
  backend.check(backend.table().sync(backend.instance(), backend.error()));
}

}  // namespace
}  // namespace dbsa::test
