// KV objects as blocks: layout, bytes, export and import.
#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

// int8 as it is documented, in double precision: what some numbers with one scale read as.
std::vector<double> int8_oracle(const std::vector<float>& numbers) {
  double most = 0;
  for (const float x : numbers) most = std::max(most, std::fabs(static_cast<double>(x)));
  std::vector<double> best(numbers.size(), 0.0);
  double least = std::numeric_limits<double>::infinity();
  for (int steps = 127; most > 0 && steps >= 96; --steps) {
    // most / steps rounded up to 8 bits of significand
    int exponent = 0;
    const double fraction = std::frexp(most / steps, &exponent);
    const double scale = std::ldexp(std::ceil(std::ldexp(fraction, 8)), exponent - 8);
    std::vector<double> read;
    double error = 0;
    for (const float x : numbers) {
      read.push_back(
          round_bf16(static_cast<float>(std::nearbyint(static_cast<double>(x) / scale) * scale)));
      error += (read.back() - x) * (read.back() - x);
    }
    if (error >= least) continue;
    least = error;
    best = read;
  }
  return best;
}

double squared_distance(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

TEST(Block, Int8ReadsAsTheOracleSays) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype != DBSA_KV_DTYPE_I8) continue;
    for (const int32_t head_dim : {64, 20, 2, 80, 256}) {
      const uint64_t seed = 17;
      std::mt19937_64 random(seed);
      Shape shape = variant.apply(head_shape(head_dim, 1, 2));
      shape.rope = false;  // so that keys are what is given
      const int64_t tokens = 21;
      const size_t width = static_cast<size_t>(shape.kv_width());
      Rows k = random_rows(random, tokens * shape.kv_width());
      Rows v = random_rows(random, tokens * shape.kv_width());
      for (size_t i = 0; i < k.size(); ++i) {  // magnitudes of all sizes, and zeros
        k[i] = round_bf16(k[i] * std::ldexp(1.0f, static_cast<int>(i / width) * 4 - 60));
        v[i] = i / width % 7 == 0 ? 0.0f : round_bf16(v[i]);  // as live KV has them
      }
      Backend backend(variant.path, 1, shape);
      const PlainKv kept = backend.stored(backend.filled_kv(k, v), tokens);
      const auto compare = [&](const Rows& given, const Rows& read, int32_t group) {
        int64_t groups = 0, differing = 0;
        for (size_t row = 0; row < given.size(); row += static_cast<size_t>(head_dim)) {
          for (int32_t first = 0; first < head_dim; first += group) {
            const auto at = static_cast<std::ptrdiff_t>(row) + first;
            const auto end = at + std::min(group, head_dim - first);
            const std::vector<float> numbers(given.begin() + at, given.begin() + end);
            const std::vector<double> got(read.begin() + at, read.begin() + end);
            const std::vector<double> expected = int8_oracle(numbers);
            // A number in the middle between two steps may go either way, and of two scales that
            // are as good either may be taken.
            ++groups;
            differing += got != expected;
            EXPECT_LE(squared_distance(got, numbers),
                      squared_distance(expected, numbers) * (1 + 1e-4))
                << variant.name() << ", head_dim " << head_dim << ", seed " << seed;
          }
        }
        EXPECT_LE(differing, groups / 50) << variant.name();
      };
      compare(k, kept.k, 16);
      compare(v, kept.v, 32);
    }
  }
}

// Nothing that is not a number is hidden: the numbers that share its scale all read as NaN.
TEST(Block, Int8ShowsWhatIsNotFinite) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  for (const std::string& path : code_paths()) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      for (const int64_t place : {0, 31, 63}) {
        Shape shape = head_shape(64, 1, 1);
        shape.kv_dtype = DBSA_KV_DTYPE_I8;
        const Rows k(64, 1.0f);
        Rows v(64, 2.0f);
        v[static_cast<size_t>(place)] = wrong;
        Backend backend(path, 1, shape);
        const PlainKv kept = backend.stored(backend.filled_kv(k, v), 1);
        for (int64_t d = 0; d < 64; ++d) {
          const float read = kept.v[static_cast<size_t>(d)];
          EXPECT_TRUE(d / 32 == place / 32 ? std::isnan(read) : read == 2.0f)
              << path << ", " << wrong << " at " << place << ": " << read;
        }
      }
    }
  }
}

TEST(Block, KeepsRotatedKeysAndValues) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype == DBSA_KV_DTYPE_I8) continue;  // has its own test
    for (const int32_t head_dim : {64, 20, 2, 256}) {
      std::mt19937_64 random(3);
      const Shape shape = variant.apply(head_shape(head_dim, 1, 2));
      const int64_t tokens = 37;
      const Rows k = random_rows(random, tokens * shape.kv_width());
      const Rows v = random_rows(random, tokens * shape.kv_width());
      Backend backend(variant.path, 1, shape);
      const PlainKv kept = backend.stored(backend.filled_kv(k, v), tokens);
      const bool bf16 = variant.kv_dtype == DBSA_KV_DTYPE_BF16;
      const std::vector<float> inv_freq = shape.inv_freq();
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t h = 0; h < shape.kv_heads; ++h) {
          const auto at = static_cast<size_t>(t * shape.kv_width() + h * head_dim);
          const std::vector<double> key = rotate(k.data() + at, static_cast<double>(t), inv_freq);
          for (size_t i = 0; i < key.size(); ++i) {
            EXPECT_EQ(kept.v[at + i], bf16 ? round_bf16(v[at + i]) : v[at + i]);
            // One rounding to the KV type, after a rotation in float32.
            const double unit = bf16 ? 1.0 / 256 : 0.0;
            EXPECT_NEAR(kept.k[at + i], key[i], std::fabs(key[i]) * unit + 1e-6)
                << variant.name() << ", token " << t << ", dimension " << i;
          }
        }
      }
    }
  }
}

TEST(Block, BytesDoNotDependOnHowTheBlockWasAppended) {
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(4);
    const Shape shape = variant.apply(head_shape(20, 2, 3));
    const int64_t tokens = 75;
    const int64_t width = shape.kv_width();
    const Rows k = random_rows(random, tokens * width);
    const Rows v = random_rows(random, tokens * width);
    Backend backend(variant.path, 2, shape);
    const std::string whole = backend.export_plane(backend.filled_kv(k, v), tokens).bytes();

    // In chunks, into a larger object that held something else before.
    auto reused =
        backend.filled_kv(random_rows(random, 200 * width), random_rows(random, 200 * width));
    for (int64_t first = 0; first < tokens; first += 13) {
      const int64_t rows = std::min<int64_t>(13, tokens - first);
      backend.append({k.begin() + first * width, k.begin() + (first + rows) * width},
                     {v.begin() + first * width, v.begin() + (first + rows) * width}, first,
                     reused);
    }
    EXPECT_EQ(whole, backend.export_plane(reused, tokens).bytes()) << variant.name();
    Backend single(variant.path, 1, shape);
    EXPECT_EQ(whole, single.export_plane(single.filled_kv(k, v), tokens).bytes()) << variant.name();
  }
}

TEST(Block, ImportedPlanesGiveTheSameBits) {
  for (const Variant& variant : variants()) {
    if (variant.kv_dtype == DBSA_KV_DTYPE_I8) continue;  // live KV is not quantised
    Shape shape = variant.apply(head_shape(80, 4, 2));
    shape.layers = 3;
    std::mt19937_64 random(6);
    const int64_t tokens = 83;
    const int64_t width = shape.kv_width();
    PlanCase c;
    c.shape = shape;
    c.kvs.push_back({{}, {}, tokens});
    c.add_segment(0, DBSA_SEGMENT_FULL, 5, 70, 1234);
    c.add_segment(0, DBSA_SEGMENT_FULL, 75, 8, -9);
    c.add_range(9, 1400);
    c.draw_queries(random);

    Backend writer(variant.path, 2, shape);
    auto live = writer.kv(100);
    for (int32_t layer = 0; layer < 3; ++layer) {
      writer.append(random_rows(random, tokens * width), random_rows(random, tokens * width), 0,
                    live, layer);
    }
    Backend reader(variant.path, 2, shape);
    std::vector<Plane> planes;
    std::vector<const void*> pointers;
    for (int32_t layer = 0; layer < 3; ++layer) {
      planes.push_back(writer.export_plane(live, tokens, layer));
    }
    for (Plane& plane : planes) pointers.push_back(plane.data());
    auto imported = reader.import(tokens, pointers);
    for (int32_t layer = 0; layer < 3; ++layer) {
      const Rows before = writer.attend(c.describe({live}), c.q, layer);
      EXPECT_TRUE(same_bits(before, reader.attend(c.describe({imported}), c.q, layer)))
          << variant.name() << ", layer " << layer;
      EXPECT_EQ(planes[static_cast<size_t>(layer)].bytes(),
                reader.export_plane(imported, tokens, layer).bytes());
    }
    // A shorter block of the same tokens is the prefix.
    const PlainKv part = writer.stored(live, 20, 1);
    const PlainKv all = writer.stored(live, tokens, 1);
    EXPECT_TRUE(same_bits(part.k, Rows(all.k.begin(), all.k.begin() + 20 * width)));
    EXPECT_TRUE(same_bits(part.v, Rows(all.v.begin(), all.v.begin() + 20 * width)));
  }
}

// A block that is taken in again and put out is the same, and a shorter one its prefix.
TEST(Block, Int8IsQuantisedOnce) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(29);
    Shape shape = head_shape(80, 4, 3);
    shape.kv_dtype = DBSA_KV_DTYPE_I8;
    const int64_t tokens = 83;
    const int64_t width = shape.kv_width();
    Backend backend(path, 2, shape);
    const auto live =
        backend.filled_kv(random_rows(random, tokens * width), random_rows(random, tokens * width));
    const auto block = backend.sealed(live, tokens);
    EXPECT_EQ(backend.export_plane(live, tokens).bytes(),
              backend.export_plane(block, tokens).bytes())
        << path;
    for (const int64_t part : {1, 16, 20}) {
      EXPECT_EQ(backend.export_plane(live, part).bytes(), backend.export_plane(block, part).bytes())
          << path;
      const PlainKv prefix = backend.stored(live, part);
      const PlainKv all = backend.stored(live, tokens);
      EXPECT_TRUE(same_bits(prefix.k, Rows(all.k.begin(), all.k.begin() + part * width)));
      EXPECT_TRUE(same_bits(prefix.v, Rows(all.v.begin(), all.v.begin() + part * width)));
    }
  }
}

TEST(Block, PaddingIsZero) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  Shape shape = head_shape(20, 1, 1);  // head_dim padded to 32, 3 tokens to 16
  Backend backend(any_path(), 1, shape);
  const Rows ones(static_cast<size_t>(3 * 20), 1.0f);
  Plane plane = backend.export_plane(backend.filled_kv(ones, ones), 3);
  const auto* values = reinterpret_cast<const float*>(plane.data());
  const size_t count = plane.size / sizeof(float);
  EXPECT_EQ(count, 16u * 20 + 16 * 32);
  // Keys are rotated ones: never 0 at these angles. Values are ones.
  EXPECT_EQ(std::count_if(values, values + count, [](float x) { return x != 0.0f; }), 2 * 3 * 20);
}

TEST(Block, Format) {
  if (!on_cpu()) GTEST_SKIP() << "of the cpu backend";
  Shape shape = head_shape(64, 4, 2);
  shape.layers = 5;
  shape.kv_dtype = DBSA_KV_DTYPE_BF16;
  Backend backend(any_path(), 1, shape);
  const dbsa_kv_format format = backend.block_format(33);
  EXPECT_EQ(format.layout, static_cast<uint32_t>(DBSA_KV_LAYOUT_CPU_PANELS));
  EXPECT_EQ(format.dtype, static_cast<uint32_t>(DBSA_KV_DTYPE_BF16));
  EXPECT_EQ(format.panel, 16u);
  EXPECT_EQ(format.layers, 5u);
  EXPECT_EQ(format.kv_heads, 2u);
  EXPECT_EQ(format.head_dim, 64u);
  EXPECT_EQ(format.tokens, 33u);
  EXPECT_EQ(format.plane_bytes, 2u * 2 * 48 * 64 * 2);
  EXPECT_EQ(format.scale_offset, 0u);

  shape.kv_dtype = DBSA_KV_DTYPE_I8;
  Backend int8(any_path(), 1, shape);
  const dbsa_kv_format packed = int8.block_format(33);
  EXPECT_EQ(packed.dtype, static_cast<uint32_t>(DBSA_KV_DTYPE_I8));
  EXPECT_EQ(packed.scale_offset, 2u * 2 * 48 * 64);
  EXPECT_EQ(packed.plane_bytes, 2u * 48 * (64 + 4 * 2 + 64 + 2 * 2));
}

}  // namespace
}  // namespace dbsa::test
