// What layers may differ by in attention: soft caps, factors of rotations, sinks, dimensions that
// are not rotated, windows; and several types in one instance.
#include <sys/mman.h>

#include "tests/backend/plan_case.h"

namespace dbsa::test {
namespace {

// As in attention_test.cc; tanh errs by 3e-7, so a score by that times the cap.
double tolerance(const Variant& variant, float soft_cap) {
  return (variant.dot ? 1e-2 : 5e-6) + 3e-7 * static_cast<double>(soft_cap);
}

struct Feature {
  const char* name;
  Shape shape;
  float query_size = 1;
};

std::vector<Feature> features() {
  std::vector<Feature> all;
  const auto add = [&](const char* name, Shape shape, float query_size = 1) {
    all.push_back({name, std::move(shape), query_size});
  };
  for (const int32_t head_dim : {64, 20}) {
    Shape capped = head_shape(head_dim, 2, 2);
    capped.soft_cap = 2.5f;
    add("cap", capped, 3);
    capped.soft_cap = 50;
    add("high cap", capped, 40);
    Shape scaled = head_shape(head_dim, 3, 1);
    scaled.rotated = head_dim / 4 * 2;
    for (int32_t i = 0; i < head_dim / 2; ++i)
      scaled.factor.push_back(i < scaled.rotated / 2 ? 1.19f : 1.0f);
    add("factor of what is rotated", scaled, 2);
    Shape sinking = head_shape(head_dim, 2, 2);
    sinking.sink = {-2.0f, 0.5f, 3.0f, 9.0f};  // the last above every score
    add("sink", sinking);
    sinking.soft_cap = 4;
    add("sink and cap", sinking, 3);
  }
  return all;
}

TEST(AttentionTypes, EqualTheOracle) {
  if (!on_cpu()) GTEST_SKIP() << "declined by name";
  uint64_t seed = 7000;
  for (const Feature& feature : features()) {
    PlanCase drawn = random_case(++seed, feature.shape, 300);
    for (float& value : drawn.q) value *= feature.query_size;
    for (const Variant& variant : variants()) {
      PlanCase c = drawn;
      Backend backend(variant.path, 2, variant.apply(feature.shape));
      const auto handles = c.fill(backend);
      const Rows out = backend.attend(c.describe(handles), c.q);
      c.take_back(backend, handles);
      const int64_t width = c.shape.query_width();
      // Rounding a query of this size moves its scores by as much more.
      const double bound = (variant.dot ? static_cast<double>(feature.query_size) : 1.0) *
                           tolerance(variant, feature.shape.soft_cap);
      EXPECT_LE(worst_row_error(out, c.oracle(), width), bound)
          << variant.name() << ", " << feature.name << ", seed " << seed;
      PlanCase without = c;
      without.shape.soft_cap = 0;
      without.shape.factor.clear();
      without.shape.sink.clear();
      EXPECT_GT(worst_row_error(out, without.oracle(), width), 10 * tolerance(variant, 0))
          << variant.name() << ", " << feature.name << " changes nothing";
    }
  }
}

// Each layer by its own type, keys and plans alike.
TEST(AttentionTypes, LayersDiffer) {
  if (!on_cpu()) GTEST_SKIP() << "declined by name";
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(41);
    PlanCase c;
    c.shape = variant.apply(head_shape(64, 2, 1));
    c.shape.layers = 3;
    Shape other = c.shape;
    other.theta = 1e6f;
    other.scale = 0.3f;
    other.soft_cap = 5;
    c.shape.other_types = {other};
    const uint64_t seed = 41;
    c.add_segment(c.add_kv(random, 130), DBSA_SEGMENT_CAUSAL, 0, 130, 1000);
    c.add_range(130, 1000);
    c.draw_queries(random);
    Backend backend(variant.path, 2, c.shape);
    for (const int32_t layer : {0, 1, 2}) {
      auto kv = backend.kv(130);
      backend.append(c.kvs[0].k, c.kvs[0].v, 0, kv, layer);
      dbsa_plan_description plan = c.describe({kv});
      plan.type = layer % 2;
      const Rows out = backend.attend(plan, c.q, layer);
      PlanCase kept = c;
      if (variant.kv_dtype != DBSA_KV_DTYPE_I8) {
        kept.kvs[0] = backend.stored(kv, 130, layer);
      } else {  // live KV is not quantised
        Shape live = c.shape;
        live.kv_dtype = DBSA_KV_DTYPE_BF16;
        Backend twin(variant.path, 1, live);
        auto copy = twin.kv(130);
        twin.append(c.kvs[0].k, c.kvs[0].v, 0, copy, layer);
        kept.kvs[0] = twin.stored(copy, 130, layer);
      }
      if (layer == 1) kept.shape = other;
      EXPECT_LE(worst_row_error(out, kept.oracle(), c.shape.query_width()),
                3 * tolerance(variant, 5))
          << variant.name() << ", layer " << layer << ", seed " << seed;
    }
    auto kv = backend.filled_kv(c.kvs[0].k, c.kvs[0].v);
    dbsa_plan_description plan = c.describe({kv});
    auto prepared = backend.plan(plan);
    auto q = backend.buffer(c.q, c.shape.query_width());
    auto out = backend.buffer(130, c.shape.query_width());
    EXPECT_EQ(backend.failure(backend.table().attention(backend.instance(), prepared.get(), 1,
                                                        q.get(), out.get(), backend.error())),
              "attention: layer 1 is of type 1, the plan of type 0");
    plan.type = 2;
    dbsa_plan* made = nullptr;
    EXPECT_EQ(backend.failure(
                  backend.table().plan_prepare(backend.instance(), &plan, &made, backend.error())),
              "plan: type must be 0..1, got 2");
  }
}

// A pool's blocks before a query, each through the window of the layer.
PlanCase windowed_pool(const Shape& shape, int64_t window, int64_t blocks, uint64_t seed) {
  std::mt19937_64 random(seed);
  PlanCase c;
  c.shape = shape;
  int64_t start = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t tokens = draw(random, 20, 700);
    c.add_segment(c.add_kv(random, tokens), DBSA_SEGMENT_FULL, 0, tokens, start, window);
    start += tokens;
  }
  c.add_segment(c.add_kv(random, 90), window == 0 ? DBSA_SEGMENT_CAUSAL : DBSA_SEGMENT_WINDOW, 0,
                90, start, window);
  c.add_range(90, start);
  c.draw_queries(random);
  return c;
}

TEST(AttentionTypes, WindowsOverManyBlocksEqualTheOracle) {
  const uint64_t seed = 4242;
  for (const Variant& variant : variants()) {
    for (const int64_t window : {1, 50, 700, 2000}) {
      PlanCase c = windowed_pool(variant.apply(head_shape(32, 2, 1)), window, 9, seed);
      Backend backend(variant.path, 2, c.shape);
      const auto handles = c.fill(backend);
      const Rows out = backend.attend(c.describe(handles), c.q);
      c.take_back(backend, handles);
      EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), tolerance(variant, 0))
          << variant.name() << ", window " << window << ", seed " << seed;
    }
  }
}

// Segments beyond the window of some rows are left out for those only: a row's bits are the same
// whichever rows share its range, and on any number of threads. A window that cuts nothing changes
// no bit.
TEST(AttentionTypes, WindowsDoNotMakeRowsDependOnOthers) {
  const uint64_t seed = 4243;
  for (const Variant& variant : variants()) {
    const Shape shape = variant.apply(head_shape(32, 2, 1));
    for (const int64_t window : {50, 700, 1500, 100000}) {
      PlanCase c = windowed_pool(shape, window, 9, seed);
      Backend one(variant.path, 1, shape), two(variant.path, 2, shape);
      const auto handles = c.fill(one);
      const Rows all = one.attend(c.describe(handles), c.q);
      EXPECT_TRUE(same_bits(all, two.attend(c.describe(c.fill(two)), c.q))) << variant.name();
      const int64_t width = shape.query_width();
      for (const int64_t step : {1, 40}) {
        Rows joined;
        for (int64_t first = 0; first < 90; first += step) {
          const int64_t rows = std::min<int64_t>(step, 90 - first);
          PlanCase part = c;
          part.ranges[0].rows = rows;
          part.positions.assign(c.positions.begin() + first, c.positions.begin() + first + rows);
          part.q.assign(c.q.begin() + first * width, c.q.begin() + (first + rows) * width);
          const Rows out = one.attend(part.describe(handles), part.q);
          joined.insert(joined.end(), out.begin(), out.end());
        }
        EXPECT_TRUE(same_bits(all, joined)) << variant.name() << ", window " << window;
      }
      if (window < 100000 || !on_cpu()) continue;
      PlanCase free = windowed_pool(shape, 0, 9, seed);
      EXPECT_TRUE(same_bits(all, one.attend(free.describe(handles), free.q))) << variant.name();
    }
  }
}

// A block's plane in memory that can be made unreadable.
class GuardedPlane {
 public:
  explicit GuardedPlane(Plane plane) : bytes_(plane.size) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw std::runtime_error("no memory");
    std::memcpy(data_, plane.data(), bytes_);
  }
  ~GuardedPlane() { munmap(data_, bytes_); }
  GuardedPlane(const GuardedPlane&) = delete;
  GuardedPlane& operator=(const GuardedPlane&) = delete;
  const void* data() const { return data_; }
  void close() const {
    if (mprotect(data_, bytes_, PROT_NONE) != 0) throw std::runtime_error("cannot be protected");
  }

 private:
  size_t bytes_;
  void* data_;
};

// What "skips_unseen" promises: blocks beyond the window of all rows are not read.
TEST(AttentionTypes, BlocksThatNoRowSeesAreNotRead) {
  if (!on_cpu()) GTEST_SKIP() << "does not promise it";
  const uint64_t seed = 4245;
  for (const Variant& variant : variants()) {
    for (const int64_t window : {1, 50, 700, 1500}) {
      PlanCase c = windowed_pool(variant.apply(head_shape(32, 2, 1)), window, 9, seed);
      Backend backend(variant.path, 2, c.shape);
      std::vector<std::unique_ptr<GuardedPlane>> planes;
      PlanCase::Handles handles;
      for (const PlainKv& kv : c.kvs) {
        handles.push_back(backend.filled_kv(kv.k, kv.v));
        if (handles.size() == c.kvs.size()) break;  // the rows' own, live
        planes.push_back(std::make_unique<GuardedPlane>(
            backend.export_plane(handles.back(), kv.tokens_held(c.shape))));
        handles.back() = backend.import(kv.tokens_held(c.shape), {planes.back()->data()});
      }
      const Rows all = backend.attend(c.describe(handles), c.q);
      size_t unseen = 0;
      for (size_t b = 0; b < planes.size(); ++b) {
        const int64_t last = c.segments[b].start + c.segments[b].length - 1;
        if (c.positions.front() - last < window) continue;
        planes[b]->close();
        ++unseen;
      }
      EXPECT_GT(unseen, 0u);
      EXPECT_TRUE(same_bits(all, backend.attend(c.describe(handles), c.q)))
          << variant.name() << ", window " << window << ", seed " << seed;
    }
  }
}

// Ranges that share segments, as branches of a label tree and queries in a batch do, but see
// different ones of them through the window.
TEST(AttentionTypes, RangesThatShareSegmentsSeeThemThroughTheirOwnWindows) {
  const uint64_t seed = 4244;
  for (const Variant& variant : variants()) {
    for (const int64_t window : {60, 400, 1300}) {
      std::mt19937_64 random(seed);
      PlanCase c;
      c.shape = variant.apply(head_shape(32, 2, 1));
      std::vector<int64_t> starts, lengths;
      for (int64_t b = 0, start = 0; b < 6; ++b) {
        lengths.push_back(draw(random, 20, 500));
        starts.push_back(start);
        start += lengths.back();
        c.add_kv(random, lengths.back());
      }
      const int64_t end = starts.back() + lengths.back();
      const int own = c.add_kv(random, 12 * 3);
      for (int64_t r = 0; r < 12; ++r) {
        for (size_t b = 0; b < starts.size(); ++b)
          c.add_segment(static_cast<int>(b), DBSA_SEGMENT_FULL, 0, lengths[b], starts[b], window);
        const int64_t at = end + r % 4 * draw(random, 1, 200);
        c.add_segment(own, DBSA_SEGMENT_WINDOW, r * 3, 3, at, window);
        c.add_range(3, at);
      }
      c.draw_queries(random);
      Backend backend(variant.path, 2, c.shape);
      const auto handles = c.fill(backend);
      const int64_t width = c.shape.query_width();
      const Rows all = backend.attend(c.describe(handles), c.q);
      for (size_t r = 0; r < c.ranges.size(); ++r) {
        PlanCase one = c;
        const dbsa_row_range range = c.ranges[r];
        one.ranges = {range};
        one.ranges[0].first_row = 0;
        one.positions.assign(c.positions.begin() + range.first_row,
                             c.positions.begin() + range.first_row + range.rows);
        one.q.assign(c.q.begin() + range.first_row * width,
                     c.q.begin() + (range.first_row + range.rows) * width);
        EXPECT_TRUE(same_bits(backend.attend(one.describe(handles), one.q),
                              Rows(all.begin() + range.first_row * width,
                                   all.begin() + (range.first_row + range.rows) * width)))
            << variant.name() << ", window " << window << ", range " << r << ", seed " << seed;
      }
      c.take_back(backend, handles);
      EXPECT_LE(worst_row_error(all, c.oracle(), width), tolerance(variant, 0))
          << variant.name() << ", window " << window << ", seed " << seed;
    }
  }
}

// Tokens behind a row are seen through a FULL segment with a window, as without one.
TEST(AttentionTypes, AFullSegmentsWindowHidesOnlyWhatIsFarBefore) {
  if (!on_cpu()) GTEST_SKIP() << "declined by name";
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(17);
    PlanCase c;
    c.shape = variant.apply(head_shape(32, 1, 1));
    c.add_segment(c.add_kv(random, 200), DBSA_SEGMENT_FULL, 0, 200, 0, 30);
    c.add_range(40, 100);
    c.draw_queries(random);
    Backend backend(variant.path, 1, c.shape);
    const auto handles = c.fill(backend);
    const Rows out = backend.attend(c.describe(handles), c.q);
    c.take_back(backend, handles);
    EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), tolerance(variant, 0))
        << variant.name();
  }
}

TEST(AttentionTypes, WhatIsSupportedIsSaid) {
  Backend backend(any_path(), 1, {});
  for (const char* feature : {"types", "soft_cap", "factor", "sink", "skips_unseen"})
    EXPECT_EQ(backend.table().supports(backend.instance(), "attention", DBSA_KV_DTYPE_F32, feature),
              on_cpu())
        << feature;
  EXPECT_EQ(
      backend.table().supports(backend.instance(), "gated_mlp", DBSA_COMPUTE_F32, "gelu_tanh"),
      on_cpu());
  EXPECT_EQ(backend.table().supports(backend.instance(), "experts", DBSA_COMPUTE_F32, "softmax"),
            on_cpu());
  EXPECT_EQ(backend.table().supports(backend.instance(), "attention", DBSA_KV_DTYPE_F32, "magic"),
            0);
}

}  // namespace
}  // namespace dbsa::test
