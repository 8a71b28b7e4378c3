// Norm, activation and row copies against double precision.
#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

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

// silu is x * sigmoid(x): this also bounds the exponential, over its whole range.
TEST(Elementwise, SiluMul) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 2, {});
    Rows gate;
    for (float value = -86.0f; value < 86.0f; value += 0.0137f) gate.push_back(value);
    const auto width = static_cast<int64_t>(gate.size());
    const Rows up(gate.size(), 1.0f);
    for (const int alias : {0, 1, 2}) {
      auto g = backend.buffer(gate, width);
      auto u = backend.buffer(up, width);
      auto other = backend.buffer(1, width);
      dbsa_buffer* out = alias == 0 ? other.get() : alias == 1 ? g.get() : u.get();
      backend.check(
          backend.table().silu_mul(backend.instance(), g.get(), u.get(), 1, out, backend.error()));
      Rows got(gate.size());
      backend.check(
          backend.table().download(backend.instance(), out, 0, 1, got.data(), backend.error()));
      double worst = 0;
      for (size_t i = 0; i < gate.size(); ++i) {
        const double x = gate[i];
        const double expected = x / (1.0 + std::exp(-x));
        worst = std::max(worst, std::fabs(static_cast<double>(got[i]) / expected - 1.0));
      }
      EXPECT_LE(worst, 6e-7) << path;
      if (alias == 0) std::printf("%s: silu worst relative error %.2e\n", path.c_str(), worst);
    }
  }
}

TEST(Elementwise, SiluOfExtremes) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 1, {});
    auto g = backend.buffer({-1000.0f, 1000.0f, 0.0f, -0.0f, -3e38f, 3e38f}, 6);
    auto u = backend.buffer(Rows(6, 1.0f), 6);
    backend.check(backend.table().silu_mul(backend.instance(), g.get(), u.get(), 1, u.get(),
                                           backend.error()));
    EXPECT_EQ(backend.read(u, 1, 6), (Rows{0.0f, 1000.0f, 0.0f, 0.0f, 0.0f, 3e38f})) << path;
  }
}

TEST(Elementwise, NotANumberStaysOne) {
  for (const std::string& path : code_paths()) {
    Backend backend(path, 1, {});
    auto g = backend.buffer(Rows{std::nanf("")}, 1);
    auto u = backend.buffer(Rows{1.0f}, 1);
    backend.check(backend.table().silu_mul(backend.instance(), g.get(), u.get(), 1, u.get(),
                                           backend.error()));
    EXPECT_TRUE(std::isnan(backend.read(u, 1, 1)[0])) << path;
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
      backend->check(backend->table().silu_mul(backend->instance(), out.get(), in.get(), rows,
                                               out.get(), backend->error()));
      results[backend == &two] = backend->read(out, rows, width);
    }
    EXPECT_TRUE(same_bits(results[0], results[1])) << path;
  }
}

TEST(Elementwise, GatherRowsAndTransfers) {
  Backend backend("portable", 1, {});
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
