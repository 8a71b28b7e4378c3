// The parts that the C ABI does not show: the choice of a code path, kernels, conversions,
// rotations.
#include "plugins/attention_backend/cpu/bf16.h"
#include "plugins/attention_backend/cpu/code_path.h"
#include "plugins/attention_backend/cpu/rotation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace dbsa::cpu {
namespace {

std::vector<CodePath> present_paths() {
  std::vector<CodePath> present;
  for (const char* name : {"amx_bf16", "avx512_bf16", "avx2", "portable"}) {
    auto path = choose_code_path(name, detect_features());
    if (path.ok()) present.push_back(*path);
  }
  return present;
}

std::string failure(const std::string& instructions, const CpuFeatures& features, ErrorCode code) {
  const auto path = choose_code_path(instructions, features);
  if (path.ok()) return "chose " + path.value().name;
  EXPECT_EQ(path.error().code, code);
  EXPECT_EQ(path.error().config_pointer, "/instructions");
  return path.error().message;
}

#ifdef DBSA_CPU_X86
TEST(CodePath, AutoTakesTheBest) {
  EXPECT_EQ(choose_code_path("auto", {true, true, true})->name, "amx_bf16");
  EXPECT_EQ(choose_code_path("auto", {true, true, false})->name, "avx512_bf16");
  EXPECT_EQ(choose_code_path("auto", {true, false, false})->name, "avx2");
  EXPECT_EQ(choose_code_path("auto", {})->name, "portable");
}

TEST(CodePath, ANamedPathIsNeverReplaced) {
  EXPECT_EQ(choose_code_path("avx2", {true, true, true})->name, "avx2");
  EXPECT_EQ(choose_code_path("portable", {true, true, true})->name, "portable");
  EXPECT_EQ(
      failure("amx_bf16", {true, true, false}, ErrorCode::kEnvironment),
      "instructions = \"amx_bf16\" needs AMX with BF16, and what avx512_bf16 needs, which this "
      "processor (" +
          cpu_name() + ") does not have; use \"auto\" or \"portable\"");
  EXPECT_EQ(failure("avx512_bf16", {true, false, false}, ErrorCode::kEnvironment),
            "instructions = \"avx512_bf16\" needs AVX-512 F, BW, VL, DQ and BF16, which this "
            "processor (" +
                cpu_name() + ") does not have; use \"auto\" or \"portable\"");
  EXPECT_EQ(failure("avx2", {}, ErrorCode::kEnvironment),
            "instructions = \"avx2\" needs AVX2 and FMA, which this processor (" + cpu_name() +
                ") does not have; use \"auto\" or \"portable\"");
}
#endif

TEST(CodePath, UnknownName) {
  EXPECT_EQ(failure("AVX2", {true, true, true}, ErrorCode::kConfig),
            "instructions must be auto, amx_bf16, avx512_bf16, avx2 or portable, got \"AVX2\"");
}

// silu is x * sigmoid(x): this also bounds the exponential, over its whole range.
TEST(Kernels, Silu) {
  std::vector<float> gate;
  for (float value = -86.0f; value < 86.0f; value += 0.0137f) gate.push_back(value);
  const std::vector<float> up(gate.size(), 1.0f);
  for (const CodePath& path : present_paths()) {
    std::vector<float> out(gate.size());
    path.kernels->gate[DBSA_ACTIVATION_SILU](gate.data(), up.data(),
                                             static_cast<int64_t>(gate.size()), out.data());
    double worst = 0;
    for (size_t i = 0; i < gate.size(); ++i) {
      const double x = static_cast<double>(gate[i]);
      const double expected = x / (1.0 + std::exp(-x));
      worst = std::max(worst, std::fabs(static_cast<double>(out[i]) / expected - 1.0));
    }
    EXPECT_LE(worst, 6e-7) << path.name;
    std::printf("%s: silu worst relative error %.2e\n", path.name.c_str(), worst);
  }
}

TEST(Kernels, SiluOfExtremes) {
  const std::vector<float> gate = {-1000.0f, 1000.0f, 0.0f, -0.0f, -3e38f, 3e38f, std::nanf("")};
  const std::vector<float> up(gate.size(), 1.0f);
  for (const CodePath& path : present_paths()) {
    std::vector<float> out = gate;  // in place
    path.kernels->gate[DBSA_ACTIVATION_SILU](out.data(), up.data(),
                                             static_cast<int64_t>(gate.size()), out.data());
    EXPECT_TRUE(std::isnan(out.back())) << path.name;
    out.pop_back();
    EXPECT_EQ(out, (std::vector<float>{0.0f, 1000.0f, 0.0f, 0.0f, 0.0f, 3e38f})) << path.name;
  }
}

// The weights that bfloat16 attention gives to 16 tokens of given scores, relative to the highest:
// the query is the first unit vector, keys hold the scores there, and values are unit vectors.
std::vector<float> softmax_weights(const Kernels& kernels, const std::vector<float>& scores) {
  constexpr int64_t kDim = 16, kTokens = 16;
  std::vector<uint16_t> q(kDim, 0), k(kTokens * kDim, 0), v(kTokens * kDim, 0);
  q[0] = f32_to_bf16(1.0f);
  for (size_t t = 0; t < kTokens; ++t) {
    k[t * 2] = f32_to_bf16(scores[t]);  // step 0, token t, the first of two dimensions
    v[t / 2 * (2 * kDim) + t * 2 + t % 2] = f32_to_bf16(1.0f);
  }
  alignas(64) float m[1] = {-std::numeric_limits<float>::infinity()};
  alignas(64) float l[kGroup] = {}, acc[kDim] = {}, chunk_scores[kChunk] = {};
  alignas(64) uint16_t weights[kChunk] = {};
  const int64_t low[1] = {0}, high[1] = {kTokens};
  AttendArgs args = {};
  args.q = q.data();
  args.q_stride = kDim * 2;
  args.k = k.data();
  args.v = v.data();
  args.head_dim = args.v_width = kDim;
  args.end = kTokens;
  args.low = low;
  args.high = high;
  args.scores = chunk_scores;
  args.weights = weights;
  args.state = {m, l, acc, 1};
  kernels.attend[kBf16Dot](args);
  std::vector<float> out(acc, acc + kDim);
  double sum = 0;
  for (const float part : l) sum += static_cast<double>(part);
  out.push_back(static_cast<float>(sum));
  return out;
}

TEST(Kernels, SoftmaxWeightsInBfloat16) {
  for (const CodePath& path : present_paths()) {
    if (path.kernels->attend[kBf16Dot] == nullptr) continue;
    std::mt19937 random(3);
    double worst = 0;
    for (const float reach : {1.0f, 20.0f, 80.0f}) {
      std::uniform_real_distribution<float> any(-reach, reach);
      for (int round = 0; round < 500; ++round) {
        std::vector<float> scores(16);
        for (float& score : scores) score = bf16_to_f32(f32_to_bf16(any(random)));
        const float top = *std::max_element(scores.begin(), scores.end());
        const std::vector<float> got = softmax_weights(*path.kernels, scores);
        double sum = 0;
        for (size_t t = 0; t < scores.size(); ++t) {
          const double exact = std::exp(static_cast<double>(scores[t]) - static_cast<double>(top));
          sum += static_cast<double>(got[t]);
          if (exact < 1e-37) continue;  // what may become 0
          worst = std::max(worst, std::fabs(static_cast<double>(got[t]) / exact - 1.0));
        }
        EXPECT_NEAR(static_cast<double>(got.back()) / sum, 1.0, 1e-6) << path.name;
      }
    }
    // Rounding to bfloat16, 2^-8 of a value just above a power of two, and 1e-4 before it.
    EXPECT_LE(worst, 1.0 / 256 + 1e-4) << path.name;
    std::printf("%s: softmax weight worst relative error %.2e\n", path.name.c_str(), worst);
  }
}

TEST(Kernels, SoftmaxWeightsOfExtremes) {
  const float infinite = std::numeric_limits<float>::infinity();
  for (const CodePath& path : present_paths()) {
    if (path.kernels->attend[kBf16Dot] == nullptr) continue;
    std::vector<float> scores(16, -infinite);
    scores[3] = 2.0f;
    std::vector<float> got = softmax_weights(*path.kernels, scores);
    for (size_t t = 0; t < 16; ++t) EXPECT_EQ(got[t], t == 3 ? 1.0f : 0.0f) << path.name << t;
    scores.assign(16, -300.0f);
    scores[3] = 0.0f;
    got = softmax_weights(*path.kernels, scores);
    for (size_t t = 0; t < 16; ++t) EXPECT_EQ(got[t], t == 3 ? 1.0f : 0.0f) << path.name << t;
    scores[5] = std::nanf("");
    got = softmax_weights(*path.kernels, scores);
    EXPECT_TRUE(std::isnan(got[5])) << path.name;
  }
}

// Every float in -87..0 that is a multiple of 2^-16 or has random low bits: some 6 million points.
TEST(Kernels, Exponential) {
  for (const CodePath& path : present_paths()) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> jitter(-1.0f / 65536, 0.0f);
    double worst = 0;
    std::vector<float> x(4096);
    std::vector<float> y(x.size());
    for (float start = 0.0f; start > -86.9f; start -= 4096.0f / 65536) {
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] = start - static_cast<float>(i) / 65536 + (i % 2 == 0 ? 0.0f : jitter(random));
      }
      path.kernels->exp(x.data(), static_cast<int64_t>(x.size()), y.data());
      for (size_t i = 0; i < x.size(); ++i) {
        if (x[i] < -87.0f) continue;
        const double exact = std::exp(static_cast<double>(x[i]));
        worst = std::max(worst, std::fabs(static_cast<double>(y[i]) / exact - 1.0));
      }
    }
    EXPECT_LE(worst, 2e-7) << path.name;
    std::printf("%s: exp worst relative error %.2e\n", path.name.c_str(), worst);

    const float infinity = std::numeric_limits<float>::infinity();
    const float special[] = {0.0f, -0.0f, -88.0f, -infinity, -1e30f};
    float got[5];
    path.kernels->exp(special, 5, got);
    const float expected[] = {1.0f, 1.0f, 0.0f, 0.0f, 0.0f};
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(expected[i]))
          << path.name << ", exp(" << special[i] << ")";
    }
  }
}

// All paths round to bfloat16 alike: to nearest even, every kind of float.
TEST(Kernels, ToBf16) {
  std::mt19937 random(2);
  std::vector<float> x;
  for (int i = 0; i < 200003; ++i)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  for (const uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f808001u, 0x7f7fffffu, 0x7f800000u,
                              0x7f800001u, 0xffffffffu, 0x00000001u, 0x80000000u}) {
    x.push_back(std::bit_cast<float>(bits));
  }
  for (const CodePath& path : present_paths()) {
    std::vector<uint16_t> half(x.size());
    std::vector<float> wide(x.size());
    path.kernels->to_bf16(x.data(), static_cast<int64_t>(x.size()), half.data());
    path.kernels->round_bf16(x.data(), static_cast<int64_t>(x.size()), wide.data());
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(half[i], f32_to_bf16(x[i])) << path.name << ", " << x[i];
      ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), static_cast<uint32_t>(half[i]) << 16);
    }
  }
}

TEST(Conversions, HalfTypes) {
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // ties to even
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(bf16_to_f32(0x3fc0), 1.5f);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int fraction = static_cast<int>(bits & 1023);
    const float got = f16_to_f32(static_cast<uint16_t>(bits));
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(got), fraction != 0);
      EXPECT_EQ(std::isinf(got), fraction == 0);
    } else {
      const double size =
          exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      ASSERT_EQ(static_cast<double>(got), bits >> 15 != 0 ? -size : size) << bits;
    }
    EXPECT_EQ(std::signbit(got), bits >> 15 != 0);
  }
}

TEST(Rotations, CoversTheUnionOfIntervals) {
  const std::vector<float> inv_freq = {1.0f, 0.1f, 1e-4f};
  const std::vector<Interval> intervals = {{10, 12}, {-5, -2}, {11, 15},        {15, 16},
                                           {11, 12}, {3, 3},   {900000, 900001}};
  const Distances distances = Distances::of(intervals);
  const Rotations rotations = Rotations::make(intervals, inv_freq, {});
  for (int64_t d = -8; d < 20; ++d) {
    EXPECT_EQ(distances.covers(d), (d >= -5 && d < -2) || (d >= 10 && d < 16)) << d;
  }
  for (const int64_t d : {-5, -3, 10, 11, 14, 15, 900000}) {
    const float* cosine = rotations.cosine(d);
    for (size_t i = 0; i < inv_freq.size(); ++i) {
      const double angle = static_cast<double>(d) * static_cast<double>(inv_freq[i]);
      EXPECT_EQ(cosine[i], static_cast<float>(std::cos(angle)));
      EXPECT_EQ(cosine[inv_freq.size() + i], static_cast<float>(std::sin(angle)));
    }
  }
}

}  // namespace
}  // namespace dbsa::cpu
