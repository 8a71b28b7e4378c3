// What is the CUDA backend's own: products of the sizes of models, its layout of blocks, and what
// it keeps on the device.
#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

TEST(CudaCreate, DescribesItself) {
  Backend backend(any_path(), 1, {});
  EXPECT_NE(std::string(backend.table().describe(backend.instance())), "");
}

// The library picks its kernels by the number of rows: their sums must agree in every bit.
TEST(Linear, RowsOfModelSizesDoNotDependOnOtherRows) {
  Shape shape;
  shape.compute = DBSA_COMPUTE_BF16;
  Backend backend(any_path(), 1, shape);
  std::mt19937_64 random(43);
  constexpr int64_t kManyRows = 1100;
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{768, 2048},
                                {2048, 512},
                                {4096, 1024},
                                {4096, 4096},
                                {14336, 4096},
                                {4096, 14336}}) {
    const Rows x = random_rows(random, kManyRows * in);
    const auto w = backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, out * in), {out, in});
    const auto run = [&, in = in, out = out](int64_t first, int64_t rows) {
      const auto from =
          backend.buffer(Rows(x.begin() + first * in, x.begin() + (first + rows) * in), in);
      const auto to = backend.buffer(rows, out);
      backend.check(backend.linear(from.get(), rows, w.get(), nullptr, nullptr, to.get()));
      return backend.read(to, rows, out);
    };
    const Rows all = run(0, kManyRows);
    for (const int64_t rows : {1, 2, 7, 16, 32, 50, 64, 100, 128, 200, 256, 300, 512, 700, 1024}) {
      const int64_t first = kManyRows - rows;
      EXPECT_TRUE(same_bits(run(first, rows), Rows(all.begin() + first * out, all.end())))
          << rows << " rows, " << in << " to " << out;
    }
  }
}

TEST(CudaBlock, PaddingIsZero) {
  Backend backend(any_path(), 1, head_shape(20, 1, 1));
  const Rows ones(static_cast<size_t>(3 * 20), 1.0f);
  // Into an object that held something else in what is padding here.
  auto kv = backend.filled_kv(Rows(40 * 20, 2.0f), Rows(40 * 20, 2.0f));
  backend.append(ones, ones, 0, kv);
  Plane plane = backend.export_plane(kv, 3);
  const auto* values = reinterpret_cast<const float*>(plane.data());
  const size_t count = plane.size / sizeof(float);
  EXPECT_EQ(count, 2u * 64 * 20);
  // Keys are rotated ones: never 0 at these angles. Values are ones.
  EXPECT_EQ(std::count_if(values, values + count, [](float x) { return x != 0.0f; }), 2 * 3 * 20);
}

TEST(CudaBlock, Format) {
  Shape shape = head_shape(64, 4, 2);
  shape.layers = 5;
  shape.kv_dtype = DBSA_KV_DTYPE_BF16;
  Backend backend(any_path(), 1, shape);
  const dbsa_kv_format format = backend.block_format(33);
  EXPECT_EQ(format.layout, 0x10000u);
  EXPECT_EQ(format.dtype, static_cast<uint32_t>(DBSA_KV_DTYPE_BF16));
  EXPECT_EQ(format.layers, 5u);
  EXPECT_EQ(format.kv_heads, 2u);
  EXPECT_EQ(format.head_dim, 64u);
  EXPECT_EQ(format.tokens, 33u);
  EXPECT_EQ(format.plane_bytes, 2u * 2 * 64 * 64 * 2);
  EXPECT_EQ(format.scale_offset, 0u);
}

// A block goes to the device when it is first attended to; a second time, through a second import
// of the same planes, and after the first was destroyed, the result is the same.
TEST(CudaBlock, ImportedAgainAndAgain) {
  std::mt19937_64 random(41);
  Shape shape = head_shape(64, 2, 2);
  shape.layers = 2;
  shape.compute = DBSA_COMPUTE_BF16;
  shape.kv_dtype = DBSA_KV_DTYPE_BF16;
  Backend backend(any_path(), 1, shape);
  const int64_t tokens = 130;
  std::vector<Plane> planes;
  PlanCase c;
  c.shape = shape;
  c.kvs.push_back({{}, {}, tokens});
  c.add_segment(0, DBSA_SEGMENT_FULL, 0, tokens, 7);
  c.add_range(3, 200);
  c.draw_queries(random);
  Rows expected[2];
  {
    auto live = backend.kv(tokens);
    for (int32_t layer = 0; layer < 2; ++layer) {
      backend.append(random_rows(random, tokens * shape.kv_width()),
                     random_rows(random, tokens * shape.kv_width()), 0, live, layer);
      planes.push_back(backend.export_plane(live, tokens, layer));
      expected[layer] = backend.attend(c.describe({live}), c.q, layer);
    }
  }
  for (int time = 0; time < 3; ++time) {
    auto first = backend.import(tokens, {planes[0].data(), planes[1].data()});
    auto second = backend.import(tokens, {planes[0].data(), planes[1].data()});
    for (int32_t layer = 0; layer < 2; ++layer) {
      for (const auto& kv : {first, second, first}) {
        EXPECT_TRUE(same_bits(expected[layer], backend.attend(c.describe({kv}), c.q, layer)))
            << "time " << time << ", layer " << layer;
      }
    }
  }
}

// 16 blocks of 4 MiB on 48 MiB, query after query.
TEST(CudaBlock, ThoseUsedLongestAgoMakeRoom) {
  std::mt19937_64 random(47);
  Shape shape = head_shape(64, 2, 2);
  shape.compute = DBSA_COMPUTE_BF16;
  shape.kv_dtype = DBSA_KV_DTYPE_BF16;
  constexpr int64_t kTokens = 8192;
  constexpr size_t kBlocks = 16;
  PlanCase one, all;
  one.shape = all.shape = shape;
  one.kvs.push_back({{}, {}, kTokens});
  one.add_segment(0, DBSA_SEGMENT_FULL, 0, kTokens, 0);
  one.add_range(3, kTokens);
  one.draw_queries(random);
  for (size_t i = 0; i < kBlocks; ++i) {
    all.kvs.push_back({{}, {}, kTokens});
    all.add_segment(static_cast<int>(i), DBSA_SEGMENT_FULL, 0, kTokens,
                    static_cast<int64_t>(i) * kTokens);
  }
  all.add_range(3, kBlocks * kTokens);
  all.q = one.q;

  std::vector<Plane> planes;
  std::vector<Rows> expected;
  {
    Backend backend(any_path(), 1, shape);
    for (size_t i = 0; i < kBlocks; ++i) {
      auto live = backend.filled_kv(random_rows(random, kTokens * shape.kv_width()),
                                    random_rows(random, kTokens * shape.kv_width()));
      planes.push_back(backend.export_plane(live, kTokens));
      expected.push_back(backend.attend(one.describe({live}), one.q));
    }
  }
  Backend backend(R"({"memory_gib":0.046875})", 1, shape);
  PlanCase::Handles blocks;
  for (Plane& plane : planes) blocks.push_back(backend.import(kTokens, {plane.data()}));
  const auto attend_to_each = [&](const char* when) {
    for (size_t i = 0; i < kBlocks; ++i)
      EXPECT_TRUE(same_bits(expected[i], backend.attend(one.describe({blocks[i]}), one.q)))
          << "block " << i << ", " << when;
  };
  attend_to_each("the first time");
  attend_to_each("after others made room for it");
  dbsa_plan* plan = nullptr;
  const dbsa_plan_description description = all.describe(blocks);
  EXPECT_EQ(backend.table().plan_prepare(backend.instance(), &description, &plan, backend.error()),
            DBSA_ERROR_ENVIRONMENT);
  EXPECT_NE(std::string(backend.error()->message).find("memory_gib allows 48 MiB"),
            std::string::npos)
      << backend.error()->message;
  attend_to_each("after a plan that asked for too much");
}

}  // namespace
}  // namespace dbsa::test
