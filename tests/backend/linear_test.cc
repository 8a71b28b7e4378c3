// Linear layers against double precision, and bit-identical rows.
#include <array>
#include <functional>
#include <map>

#include "tests/backend/plan_case.h"
#include "tests/support/sanitized.h"

namespace dbsa::test {
namespace {

struct Size {
  int64_t in;
  int64_t out;
};

const Size kSizes[] = {{48, 100}, {100, 48}, {64, 64}, {64, 4081}, {256, 256}, {33, 17}, {1, 1}};

std::vector<double> linear_oracle(const Rows& x, const Rows& w, const Rows* bias,
                                  const Rows* residual, Size size, bool bf16) {
  const auto rounded = [&](float value) {
    return static_cast<double>(bf16 ? round_bf16(value) : value);
  };
  const int64_t rows = static_cast<int64_t>(x.size()) / size.in;
  std::vector<double> out;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < size.out; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < size.in; ++i) {
        sum += rounded(x[static_cast<size_t>(r * size.in + i)]) *
               rounded(w[static_cast<size_t>(n * size.in + i)]);
      }
      if (bias != nullptr) sum += static_cast<double>((*bias)[static_cast<size_t>(n)]);
      if (residual != nullptr) {
        sum += static_cast<double>((*residual)[static_cast<size_t>(r * size.out + n)]);
      }
      out.push_back(sum);
    }
  }
  return out;
}

Rows run_linear(Backend& backend, const Rows& x, int64_t rows,
                const Backend::Handle<dbsa_weight>& w, const dbsa_weight* bias,
                const Rows* residual, Size size) {
  auto in = backend.buffer(x, size.in);
  auto out =
      residual == nullptr ? backend.buffer(rows, size.out) : backend.buffer(*residual, size.out);
  backend.check(backend.linear(in.get(), rows, w.get(), bias,
                               residual == nullptr ? nullptr : out.get(), out.get()));
  return backend.read(out, rows, size.out);
}

TEST(Linear, EqualsTheOracle) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    const bool bf16 = variant.compute == DBSA_COMPUTE_BF16;
    double worst = 0;
    for (const Size size : kSizes) {
      std::mt19937_64 random(static_cast<uint64_t>(size.in * 10007 + size.out));
      Backend backend(variant.path, 2, variant.apply({}));
      const int64_t rows = 9;
      const Rows x = random_rows(random, rows * size.in);
      const Rows w =
          random_rows(random, size.out * size.in, 1.0f / std::sqrt(static_cast<float>(size.in)));
      const Rows bias = random_rows(random, size.out);
      const Rows residual = random_rows(random, rows * size.out);
      auto weight = backend.weight(DBSA_WEIGHT_LINEAR, w, {size.out, size.in});
      auto vector = backend.weight(DBSA_WEIGHT_VECTOR, bias, {size.out});
      for (const bool with_bias : {false, true}) {
        for (const bool with_residual : {false, true}) {
          const Rows* added = with_residual ? &residual : nullptr;
          const Rows out =
              run_linear(backend, x, rows, weight, with_bias ? vector.get() : nullptr, added, size);
          const auto expected = linear_oracle(x, w, with_bias ? &bias : nullptr, added, size, bf16);
          // Rounding of the operands is in the oracle; float32 sums of `in` products remain, each
          // off by 2^-24 of a partial sum of about 1.
          const double error = worst_row_error(out, expected, size.out);
          EXPECT_LE(error, 4e-7 + 6e-8 * std::sqrt(static_cast<double>(size.in)))
              << variant.name() << ", " << size.in << " to " << size.out;
          worst = std::max(worst, error);
        }
      }
    }
    std::printf("%s: worst row error %.2e\n", variant.name().c_str(), worst);
  }
}

TEST(Linear, RowsDoNotDependOnThreadsOrOtherRows) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    for (const Size size : {Size{48, 100}, Size{100, 48}, Size{64, 4081}, Size{32, 4096},
                            Size{256, 688}, Size{688, 256}, Size{33, 17}, Size{2048, 40}}) {
      std::mt19937_64 random(11);
      const int64_t rows = 300;
      const Rows x = random_rows(random, rows * size.in);
      const Rows w = random_rows(random, size.out * size.in);
      Backend one(variant.path, 1, variant.apply({}));
      Backend two(variant.path, 2, variant.apply({}));
      auto weight = one.weight(DBSA_WEIGHT_LINEAR, w, {size.out, size.in});
      const Rows all = run_linear(one, x, rows, weight, nullptr, nullptr, size);
      auto other = two.weight(DBSA_WEIGHT_LINEAR, w, {size.out, size.in});
      EXPECT_TRUE(same_bits(all, run_linear(two, x, rows, other, nullptr, nullptr, size)))
          << variant.name();

      const Rows zeros(static_cast<size_t>(rows * size.out), 0.0f);
      EXPECT_TRUE(same_bits(all, run_linear(one, x, rows, weight, nullptr, &zeros, size)))
          << variant.name() << ": a residual of zeros";
      for (const int64_t step : {1, 2, 3, 5, 6, 7, 8, 13, 16, 31, 32, 64, 97, 128, 257}) {
        // The whole for few rows costs much and says no more than some of it.
        const int64_t until = std::min<int64_t>(rows, (kSanitized ? 8 : 40) * step);
        for (int64_t first = 0; first + step <= until; first += step) {
          const Rows part(x.begin() + first * size.in, x.begin() + (first + step) * size.in);
          const Rows out = run_linear(one, part, step, weight, nullptr, nullptr, size);
          ASSERT_EQ(out,
                    Rows(all.begin() + first * size.out, all.begin() + (first + step) * size.out))
              << variant.name() << ", " << size.in << " to " << size.out << ", " << step
              << " rows from " << first;
        }
      }
    }
  }
}

// Every number of rows, as kernels may be chosen by it.
TEST(Linear, SumsHaveOneOrderForEachNumberOfRows) {
  for (const std::string& path : code_paths()) {
    Shape shape;
    shape.compute = DBSA_COMPUTE_BF16;
    Backend backend(path, 2, shape);
    for (const Size size : {Size{576, 192}, Size{2048, 96}, Size{4096, 33}}) {
      std::mt19937_64 random(17);
      const Rows x = random_rows(random, 64 * size.in);
      const auto weight = backend.weight(
          DBSA_WEIGHT_LINEAR, random_rows(random, size.out * size.in), {size.out, size.in});
      const Rows all = run_linear(backend, x, 64, weight, nullptr, nullptr, size);
      for (int64_t rows = 1; rows < 64; rows += kSanitized ? 13 : 1) {
        const Rows part(x.begin(), x.begin() + rows * size.in);
        ASSERT_EQ(run_linear(backend, part, rows, weight, nullptr, nullptr, size),
                  Rows(all.begin(), all.begin() + rows * size.out))
            << path << ", " << size.in << " to " << size.out << ", " << rows << " rows";
      }
    }
  }
}

struct GatedMlp {
  int64_t in, inner, out;
  uint32_t activation = DBSA_ACTIVATION_SILU;
  Rows gate, up, down, gate_bias, up_bias, down_bias;

  GatedMlp(std::mt19937_64& random, int64_t in_width, int64_t inner_width, int64_t out_width)
      : in(in_width), inner(inner_width), out(out_width) {
    const auto matrix = [&](int64_t rows, int64_t width) {
      return random_rows(random, rows * width, 1.0f / std::sqrt(static_cast<float>(width)));
    };
    gate = matrix(inner, in);
    up = matrix(inner, in);
    down = matrix(out, inner);
    gate_bias = random_rows(random, inner);
    up_bias = random_rows(random, inner);
    down_bias = random_rows(random, out);
  }

  // residual null: none; biases and residual as they are otherwise.
  std::vector<double> oracle(const Rows& x, bool biases, const Rows* residual, bool bf16) const {
    const auto g =
        linear_oracle(x, gate, biases ? &gate_bias : nullptr, nullptr, {in, inner}, bf16);
    const auto u = linear_oracle(x, up, biases ? &up_bias : nullptr, nullptr, {in, inner}, bf16);
    Rows hidden;
    const auto activated = [&](double v) {
      if (activation == DBSA_ACTIVATION_SILU) return v / (1.0 + std::exp(-v));
      return v * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v))) / 2;
    };
    for (size_t i = 0; i < g.size(); ++i)
      hidden.push_back(static_cast<float>(activated(g[i]) * u[i]));
    return linear_oracle(hidden, down, biases ? &down_bias : nullptr, residual, {inner, out}, bf16);
  }

  // The residual, if any, is in the buffer that the result goes to.
  Rows run(Backend& backend, const Rows& x, bool biases, const Rows* residual) const {
    const auto linear = [&](const Rows& values, int64_t rows, int64_t width) {
      return backend.weight(DBSA_WEIGHT_LINEAR, values, {rows, width});
    };
    const auto vector = [&](const Rows& values) {
      return backend.weight(DBSA_WEIGHT_VECTOR, values, {static_cast<int64_t>(values.size())});
    };
    const auto g = linear(gate, inner, in), u = linear(up, inner, in), d = linear(down, out, inner);
    const auto gb = vector(gate_bias), ub = vector(up_bias), db = vector(down_bias);
    dbsa_gated_mlp_weights weights = {};
    weights.struct_size = sizeof weights;
    weights.activation = activation;
    weights.gate = g.get();
    weights.up = u.get();
    weights.down = d.get();
    if (biases) {
      weights.gate_bias = gb.get();
      weights.up_bias = ub.get();
      weights.down_bias = db.get();
    }
    const int64_t rows = static_cast<int64_t>(x.size()) / in;
    auto from = backend.buffer(x, in);
    auto to = residual == nullptr ? backend.buffer(rows, out) : backend.buffer(*residual, out);
    backend.check(backend.table().gated_mlp(backend.instance(), from.get(), rows, &weights,
                                            residual == nullptr ? nullptr : to.get(), to.get(),
                                            backend.error()));
    return backend.read(to, rows, out);
  }
};

TEST(GatedMlp, EqualsTheOracle) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    const bool bf16 = variant.compute == DBSA_COMPUTE_BF16;
    double worst = 0;
    for (const auto& [in, inner, out] : {std::array<int64_t, 3>{48, 100, 48},
                                         {64, 64, 80},
                                         {33, 17, 5},
                                         {1, 1, 1},
                                         {96, 688, 96}}) {
      std::mt19937_64 random(static_cast<uint64_t>(in * 10007 + inner));
      GatedMlp layer(random, in, inner, out);
      const int64_t rows = kSanitized ? 11 : 37;
      const Rows x = random_rows(random, rows * in);
      const Rows residual = random_rows(random, rows * out);
      Backend backend(variant.path, 2, variant.apply({}));
      for (const int form : {0, 1, 2, 3}) {
        const bool biases = form % 2 == 1;
        layer.activation = form < 2 ? DBSA_ACTIVATION_SILU : DBSA_ACTIVATION_GELU_TANH;
        if (!on_cpu() && form >= 2) continue;  // declined by name
        for (const Rows* added : {static_cast<const Rows*>(nullptr), &residual}) {
          const double error = worst_row_error(layer.run(backend, x, biases, added),
                                               layer.oracle(x, biases, added, bf16), out);
          // float32: as a linear layer's, three in a row. bfloat16: where a hidden value lies in
          // the middle of two, it may be rounded to the other; that is 2^-8 of one summand.
          EXPECT_LE(error, bf16 ? 4e-3 : 4e-6)
              << variant.name() << ", " << in << " to " << inner << " to " << out << ", activation "
              << layer.activation;
          worst = std::max(worst, error);
        }
      }
    }
    std::printf("%s: worst row error of a gated layer %.2e\n", variant.name().c_str(), worst);
  }
}

TEST(GatedMlp, RowsDoNotDependOnThreadsOrOtherRows) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    std::mt19937_64 random(12);
    const GatedMlp layer(random, 2048, 72, 40);
    const int64_t rows = 700;
    const Rows x = random_rows(random, rows * layer.in);
    Backend one(variant.path, 1, variant.apply({}));
    Backend two(variant.path, 2, variant.apply({}));
    const Rows all = layer.run(one, x, true, nullptr);
    EXPECT_TRUE(same_bits(all, layer.run(two, x, true, nullptr))) << variant.name();
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{0, 1}, {255, 2}, {256, 17}, {300, 300}, {699, 1}}) {
      const Rows part(x.begin() + first * layer.in, x.begin() + (first + count) * layer.in);
      EXPECT_EQ(layer.run(one, part, true, nullptr),
                Rows(all.begin() + first * layer.out, all.begin() + (first + count) * layer.out))
          << variant.name() << ", " << count << " rows from " << first;
    }
  }
}

// A backend may keep what it made of activations. What writes to a buffer changes them.
TEST(Linear, ReadsABufferAnewOnceItIsWritten) {
  constexpr int64_t kRows = 5, kWidth = 40;
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    Shape shape = variant.apply({});
    shape.query_heads = shape.kv_heads = 1;
    shape.head_dim = kWidth;
    Backend backend(variant.path, 1, shape);
    const Backend::Vtable& t = backend.table();
    void* const self = backend.instance();
    dbsa_error* const error = backend.error();
    std::mt19937_64 random(13);
    const auto square = [&] {
      return backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, kWidth * kWidth),
                            {kWidth, kWidth});
    };
    const auto w = square(), inner = square();
    const auto vector = backend.weight(DBSA_WEIGHT_VECTOR, random_rows(random, kWidth), {kWidth});
    const Rows rows_of_table = random_rows(random, 2 * kRows * kWidth);
    const auto table = backend.weight(DBSA_WEIGHT_EMBEDDING, rows_of_table, {2 * kRows, kWidth});
    dbsa_gated_mlp_weights layer = {};
    layer.struct_size = sizeof layer;
    layer.gate = layer.up = layer.down = inner.get();
    const dbsa_gated_mlp_weights both[] = {layer, layer};
    const auto router =
        backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, 2 * kWidth), {2, kWidth});
    const dbsa_expert_weights experts = {sizeof experts, 0, router.get(), 2, 1, both};
    auto kv =
        backend.filled_kv(random_rows(random, kRows * kWidth), random_rows(random, kRows * kWidth));
    PlanCase plan_case;
    plan_case.shape = shape;
    plan_case.add_segment(0, DBSA_SEGMENT_FULL, 0, kRows, 0);
    plan_case.add_range(kRows, 0);
    const auto plan = backend.plan(plan_case.describe({kv}));

    using Write = std::function<int32_t(dbsa_buffer * from, int32_t turn, dbsa_buffer * to)>;
    const std::pair<const char*, Write> writers[] = {
        {"upload",
         [&](dbsa_buffer*, int32_t turn, dbsa_buffer* to) {
           return t.upload(self, rows_of_table.data() + turn * kRows * kWidth, 0, kRows, to, error);
         }},
        {"embedding",
         [&](dbsa_buffer*, int32_t turn, dbsa_buffer* to) {
           std::vector<int32_t> ids;
           for (int32_t i = 0; i < kRows; ++i)
             ids.push_back(turn * static_cast<int32_t>(kRows) + i);
           return t.embedding(self, ids.data(), kRows, table.get(), to, error);
         }},
        {"gather_rows",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           const int64_t indices[] = {4, 3, 2, 1, 0};
           return t.gather_rows(self, from, indices, kRows, to, error);
         }},
        {"linear",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return backend.linear(from, kRows, inner.get(), nullptr, nullptr, to);
         }},
        {"gated_mlp",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return t.gated_mlp(self, from, kRows, &layer, nullptr, to, error);
         }},
        {"experts",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return t.experts(self, from, kRows, &experts, nullptr, to, error);
         }},
        {"rms_norm",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return t.rms_norm(self, from, kRows, vector.get(), 1e-5f, to, error);
         }},
        {"layer_norm",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return t.layer_norm(self, from, kRows, vector.get(), vector.get(), 1e-5f, to, error);
         }},
        {"gelu", [&](dbsa_buffer* from, int32_t,
                     dbsa_buffer* to) { return t.gelu(self, from, kRows, to, error); }},
        {"attention",
         [&](dbsa_buffer* from, int32_t, dbsa_buffer* to) {
           return t.attention(self, plan.get(), 0, from, to, error);
         }},
    };
    for (const auto& [name, write] : writers) {
      if (!on_cpu() && std::string(name) == "experts") continue;  // declined by name
      auto x = backend.buffer(kRows, kWidth);
      auto out = backend.buffer(kRows, kWidth);
      const auto product = [&](const Backend::Handle<dbsa_buffer>& of) {
        backend.check(backend.linear(of.get(), kRows, w.get(), nullptr, nullptr, out.get()));
        return backend.read(out, kRows, kWidth);
      };
      Rows before;
      for (const int32_t turn : {0, 1}) {
        auto from = backend.buffer(random_rows(random, kRows * kWidth), kWidth);
        backend.check(write(from.get(), turn, x.get()));
        const Rows got = product(x);
        EXPECT_NE(got, before) << variant.name() << ", " << name;
        EXPECT_EQ(got, product(backend.buffer(backend.read(x, kRows, kWidth), kWidth)))
            << variant.name() << ", " << name;
        before = product(x);
      }
    }
  }
}

uint16_t half_of(float value) { return static_cast<uint16_t>(value == 0.5f ? 0x3800 : 0xc100); }

// Weights in every type: read exactly, rounded only to the arithmetic.
TEST(Linear, LayersOfOneInputAreAsEachAlone) {
  constexpr int64_t kIn = 128;
  const Size sizes[] = {{kIn, 192}, {kIn, 64}, {kIn, 17}, {kIn, 256}};
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    std::mt19937_64 random(29);
    Backend backend(variant.path, 2, variant.apply({}));
    for (const int64_t rows : {1, 50, 300}) {
      const Rows x = random_rows(random, rows * kIn);
      std::vector<Backend::Handle<dbsa_weight>> weights, biases;
      std::vector<Backend::Handle<dbsa_buffer>> outs;
      std::vector<dbsa_linear_layer> layers;
      std::vector<Rows> alone;
      for (size_t i = 0; i < std::size(sizes); ++i) {
        const int64_t n = sizes[i].out;
        weights.push_back(
            backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, n * kIn), {n, kIn}));
        biases.push_back(backend.weight(DBSA_WEIGHT_VECTOR, random_rows(random, n), {n}));
        const dbsa_weight* bias = i == 1 ? biases.back().get() : nullptr;
        const Rows residual = random_rows(random, rows * n);
        outs.push_back(backend.buffer(residual, n));
        layers.push_back({sizeof(dbsa_linear_layer), 0, weights.back().get(), bias,
                          i == 2 ? outs.back().get() : nullptr, outs.back().get()});
        alone.push_back(run_linear(backend, x, rows, weights.back(), bias,
                                   i == 2 ? &residual : nullptr, sizes[i]));
      }
      const auto in = backend.buffer(x, kIn);
      backend.check(backend.table().linear(backend.instance(), in.get(), rows, layers.data(),
                                           static_cast<int64_t>(layers.size()), backend.error()));
      for (size_t i = 0; i < alone.size(); ++i)
        EXPECT_TRUE(same_bits(alone[i], backend.read(outs[i], rows, sizes[i].out)))
            << variant.name() << ", layer " << i << ", " << rows << " rows";
    }
  }
}

TEST(Linear, WeightTypes) {
  for (const std::string& path : code_paths()) {
    const Rows w = {0.5f, -2.5f, -2.5f, 0.5f, 0.5f, 0.5f};  // [3, 2], exact in every type
    std::vector<uint16_t> f16;
    std::vector<uint16_t> bf16;
    for (const float value : w) {
      f16.push_back(half_of(value));
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      bf16.push_back(static_cast<uint16_t>(bits >> 16));
    }
    Backend backend(path, 1, {});
    Tensor tensors[] = {{w.data(), DBSA_DTYPE_FLOAT, 32, {3, 2}},
                        {f16.data(), DBSA_DTYPE_FLOAT, 16, {3, 2}},
                        {bf16.data(), DBSA_DTYPE_BFLOAT, 16, {3, 2}}};
    for (Tensor& tensor : tensors) {
      auto weight = backend.weight(DBSA_WEIGHT_LINEAR, tensor.get());
      EXPECT_EQ(run_linear(backend, {2.0f, 4.0f}, 1, weight, nullptr, nullptr, {2, 3}),
                (Rows{-9.0f, -3.0f, 3.0f}))
          << path;
      auto table = backend.weight(DBSA_WEIGHT_EMBEDDING, tensor.get());
      auto out = backend.buffer(2, 2);
      const int32_t ids[] = {2, 1};
      backend.check(backend.table().embedding(backend.instance(), ids, 2, table.get(), out.get(),
                                              backend.error()));
      EXPECT_EQ(backend.read(out, 2, 2), (Rows{0.5f, 0.5f, -2.5f, 0.5f}));
    }
  }
}

TEST(Linear, PackedBytesMakeTheSameWeight) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    for (const Size size : kSizes) {
      std::mt19937_64 random(static_cast<uint64_t>(size.in * 10007 + size.out));
      Backend backend(variant.path, 2, variant.apply({}));
      const auto& t = backend.table();
      if (t.packing(backend.instance()) == nullptr) GTEST_SKIP() << "keeps no packed weights";
      const Rows w = random_rows(random, size.out * size.in), x = random_rows(random, 7 * size.in);
      auto made = backend.weight(DBSA_WEIGHT_LINEAR, w, {size.out, size.in});
      const Rows expected = run_linear(backend, x, 7, made, nullptr, nullptr, size);
      const void* packed = nullptr;
      uint64_t bytes = 0;
      backend.check(
          t.weight_packed(backend.instance(), made.get(), &packed, &bytes, backend.error()));
      ASSERT_EQ(bytes % 64, 0u);

      // Another instance, at another time: the bytes moved, the first weight gone.
      std::vector<char> memory(bytes + 64);
      char* copy = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
      std::memcpy(copy, packed, bytes);
      made = {};
      Backend other(variant.path, 1, variant.apply({}));
      EXPECT_STREQ(other.table().packing(other.instance()), t.packing(backend.instance()));
      dbsa_weight* adopted = nullptr;
      other.check(other.table().weight_adopt(other.instance(), size.out, size.in, copy, bytes,
                                             &adopted, other.error()));
      const Backend::Handle<dbsa_weight> handle(
          adopted, [&](dbsa_weight* weight) { t.weight_destroy(other.instance(), weight); });
      EXPECT_EQ(run_linear(other, x, 7, handle, nullptr, nullptr, size), expected)
          << variant.path << " " << size.in << " x " << size.out;
    }
  }
}

TEST(Linear, WhatPackedBytesDependOnHasANameOfItsOwn) {
  std::map<std::string, std::string> seen;
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_F32) continue;
    Backend backend(variant.path, 1, variant.apply({}));
    const char* packing = backend.table().packing(backend.instance());
    if (packing == nullptr) GTEST_SKIP() << "keeps no packed weights";
    const std::string what = variant.path + " " + std::to_string(variant.compute);
    EXPECT_TRUE(seen.emplace(packing, what).second) << what << " is named as " << seen[packing];
  }
}

}  // namespace
}  // namespace dbsa::test
