// Plan attention against the oracle, and its promise of bit-identical rows.
#include "tests/backend/plan_case.h"
#include "tests/support/sanitized.h"

namespace dbsa::test {
namespace {

// Relative error of a row against the oracle over the KV as kept. float32: rotations, sums and
// scores are off by some 2^-24 of their size. Where queries and softmax weights are rounded to
// bfloat16, each is off by up to 2^-8 = 4e-3: about 1e-3 for a usual row, more where a few tokens
// with large scores decide or their values nearly cancel.
double tolerance(const Variant& variant) { return variant.dot ? 1e-2 : 5e-6; }

// The oracle's answers to one case, remembered for as long as the KV is the same.
class Answers {
 public:
  const std::vector<double>& of(PlanCase& c) {
    std::string key;
    for (const PlainKv& kv : c.kvs) {
      key.append(reinterpret_cast<const char*>(kv.k.data()), kv.k.size() * sizeof(float));
      key.append(reinterpret_cast<const char*>(kv.v.data()), kv.v.size() * sizeof(float));
    }
    auto found = known_.find(key);
    if (found == known_.end()) found = known_.emplace(key, c.oracle()).first;
    return found->second;
  }

 private:
  std::map<std::string, std::vector<double>> known_;
};

TEST(Attention, EqualsTheOracle) {
  const std::vector<Variant> all = variants();
  std::map<std::string, double> worst;
  uint64_t seed = 1000;
  for (const int32_t head_dim : {64, 80, 128, 20, 2, 72, 256}) {
    const bool usual = head_dim != 2 && head_dim != 72 && head_dim != 256;
    const std::vector<int32_t> groups =
        kSanitized ? std::vector<int32_t>{1, 8} : std::vector<int32_t>{1, 4, 8, 3};
    for (const int32_t group : usual ? groups : std::vector<int32_t>{3}) {
      const int64_t far = seed % 3 == 0 ? 1000000 : seed % 3 == 1 ? 5000 : 100;
      const Shape shape = head_shape(head_dim, group, group == 8 ? 1 : 2);
      const PlanCase drawn = random_case(++seed, shape, far);
      Answers answers;
      for (const Variant& variant : all) {
        // A row of two numbers may nearly cancel: roundings to bfloat16 have no relative bound.
        if (variant.dot && head_dim == 2) continue;
        PlanCase c = drawn;
        Backend backend(variant.path, 2, variant.apply(shape));
        const auto handles = c.fill(backend);
        const Rows out = backend.attend(c.describe(handles), c.q);
        c.take_back(backend, handles);
        const double error = worst_row_error(out, answers.of(c), shape.query_width());
        EXPECT_LE(error, tolerance(variant)) << variant.name() << ", head_dim " << head_dim
                                             << ", group " << group << ", seed " << seed;
        double& most = worst[variant.name()];
        if (!(error <= most)) most = error;
      }
    }
  }
  for (const auto& [name, most] : worst) {
    std::printf("%s: worst row error %.2e\n", name.c_str(), most);
  }
}

// What an encoder needs: no rotation, and texts side by side in one plan, each of whose rows sees
// its whole text. A text's rows are, bit for bit, those it has by itself.
TEST(Attention, PackedTextsWithoutRotationSeeThemselvesAlone) {
  for (const std::string& path : code_paths()) {
    const uint64_t seed = 91;
    std::mt19937_64 random(seed);
    PlanCase all;
    all.shape = head_shape(32, 1, 3);
    all.shape.rope = false;
    const auto add_text = [](PlanCase& to, int kv, int64_t length) {
      to.add_segment(kv, DBSA_SEGMENT_FULL, 0, length, 0);
      to.add_range(length, 0);
    };
    for (const int64_t length : {2, 19, 1, 64, 300, 7})
      add_text(all, all.add_kv(random, length), length);
    all.draw_queries(random);
    Backend backend(path, 2, all.shape);
    const auto handles = all.fill(backend);
    const Rows out = backend.attend(all.describe(handles), all.q);
    EXPECT_TRUE(same_bits(backend.stored(handles[4], 300).k, all.kvs[4].k)) << path;
    EXPECT_LE(worst_row_error(out, all.oracle(), all.shape.query_width()), 5e-6)
        << path << ", seed " << seed;

    const int64_t width = all.shape.query_width();
    const auto fifth = [&](const Rows& rows) {
      return Rows(rows.begin() + 86 * width, rows.begin() + 386 * width);
    };
    PlanCase alone;
    alone.shape = all.shape;
    alone.kvs.push_back(all.kvs[4]);
    add_text(alone, 0, 300);
    alone.q = fifth(all.q);
    Backend one(path, 1, alone.shape);
    EXPECT_TRUE(same_bits(one.attend(alone.describe(alone.fill(one)), alone.q), fifth(out)))
        << path;
  }
}

// Long segments: several parts, split among threads where rows are few.
TEST(Attention, LongSegmentsEqualTheOracle) {
  for (const Variant& variant : variants()) {
    for (const int64_t rows : {1, 5}) {
      const uint64_t seed = 77 + static_cast<uint64_t>(rows);
      std::mt19937_64 random(seed);
      PlanCase c;
      c.shape = variant.apply(head_shape(32, 2, 1));
      const int first = c.add_kv(random, 2500);
      const int own = c.add_kv(random, 1300);
      c.add_segment(first, DBSA_SEGMENT_FULL, 37, 2400, 0);
      c.add_segment(own, DBSA_SEGMENT_CAUSAL, 0, 1300, 2400);
      c.add_range(rows, 2400 + 1200);
      c.draw_queries(random);
      Backend one(variant.path, 1, c.shape);
      const auto handles = c.fill(one);
      const Rows out = one.attend(c.describe(handles), c.q);
      Backend two(variant.path, 2, c.shape);
      EXPECT_TRUE(same_bits(out, two.attend(c.describe(c.fill(two)), c.q))) << variant.name();
      c.take_back(one, handles);
      EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), tolerance(variant))
          << variant.name() << ", rows " << rows << ", seed " << seed;
    }
  }
}

// A block attended at a start equals the block with its keys explicitly rotated there.
TEST(Attention, AnyStartEqualsRotatedKeys) {
  for (const std::string& path : code_paths()) {
    for (const int64_t start : {-1000000, -3, 0, 1, 4095, 999983}) {
      std::mt19937_64 random(5);
      PlanCase c;
      c.shape = head_shape(64, 4, 1);
      const int kv = c.add_kv(random, 61);
      c.add_segment(kv, DBSA_SEGMENT_FULL, 0, 61, start);
      c.add_range(7, start + 61);
      c.draw_queries(random);
      Backend backend(path, 1, c.shape);
      const Rows moved = backend.attend(c.describe(c.fill(backend)), c.q);

      PlanCase rotated = c;
      PlainKv& keys = rotated.kvs[0];
      const std::vector<float> inv_freq = c.shape.inv_freq();
      for (int64_t t = 0; t < keys.tokens; ++t) {
        const std::vector<double> key =
            rotate(keys.k.data() + t * c.shape.kv_width(), static_cast<double>(start), inv_freq);
        for (size_t i = 0; i < key.size(); ++i) {
          keys.k[static_cast<size_t>(t * c.shape.kv_width()) + i] = static_cast<float>(key[i]);
        }
      }
      rotated.segments[0].start = 0;
      const Rows there = backend.attend(rotated.describe(rotated.fill(backend)), c.q);
      EXPECT_LE(worst_row_error(moved, {there.begin(), there.end()}, c.shape.query_width()), 5e-6)
          << path << ", start " << start;
    }
  }
}

// ---- bit-identity ---------------------------------------------------------------------------

// The plan cut down to rows first..first + rows - 1 of its one range.
PlanCase only_rows(const PlanCase& c, int64_t first, int64_t rows) {
  PlanCase part = c;
  const int64_t width = c.shape.query_width();
  part.positions.assign(c.positions.begin() + first, c.positions.begin() + first + rows);
  part.q.assign(c.q.begin() + first * width, c.q.begin() + (first + rows) * width);
  part.ranges[0].rows = rows;
  return part;
}

TEST(Attention, RowsDoNotDependOnThreadsOrOtherRows) {
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(31);
    PlanCase c;
    c.shape = variant.apply(head_shape(48, 3, 2));
    add_block(c, random, 4, 2000);
    const int own = c.add_kv(random, 203);
    c.segments.pop_back();
    c.kv_of_segment.pop_back();
    c.add_segment(own, DBSA_SEGMENT_CAUSAL, 0, 203, 500);
    c.ranges.clear();
    c.positions.clear();
    c.add_range(203, 500);
    c.draw_queries(random);

    Backend one(variant.path, 1, c.shape);
    Backend two(variant.path, 2, c.shape);
    const auto handles = c.fill(one);
    const Rows all = one.attend(c.describe(handles), c.q);
    EXPECT_TRUE(same_bits(all, two.attend(c.describe(c.fill(two)), c.q))) << variant.name();

    for (const int64_t step : {1, 7, 64, 100}) {
      Rows joined;
      for (int64_t first = 0; first < 203; first += step) {
        PlanCase part = only_rows(c, first, std::min<int64_t>(step, 203 - first));
        // As a resumed encoding would: the block's own KV goes only as far as it has been computed.
        part.segments.back().length = first + part.ranges[0].rows;
        const Rows out = one.attend(part.describe(handles), part.q);
        joined.insert(joined.end(), out.begin(), out.end());
      }
      EXPECT_TRUE(same_bits(all, joined)) << variant.name() << ", chunks of " << step;
    }
  }
}

// Tokens that no row may see do not reach the result, not even as a sign of zero.
TEST(Attention, MaskedTailContributesNothing) {
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(8);
    PlanCase c;
    c.shape = variant.apply(head_shape(64, 2, 1));
    const int kv = c.add_kv(random, 300);
    c.add_segment(kv, DBSA_SEGMENT_CAUSAL, 0, 300, 10);
    c.add_range(20, 10 + 90);  // sees at most 110 of them
    c.draw_queries(random);
    Backend backend(variant.path, 1, c.shape);
    const Rows whole = backend.attend(c.describe(c.fill(backend)), c.q);

    PlanCase huge = c;
    for (size_t i = static_cast<size_t>(110 * c.shape.kv_width()); i < huge.kvs[0].k.size(); ++i) {
      huge.kvs[0].k[i] = 1e30f;
      huge.kvs[0].v[i] = -1e30f;
    }
    EXPECT_TRUE(same_bits(whole, backend.attend(huge.describe(huge.fill(backend)), c.q)))
        << variant.name();

    PlanCase shorter = c;
    shorter.kvs[0].k.resize(static_cast<size_t>(110 * c.shape.kv_width()));
    shorter.kvs[0].v.resize(shorter.kvs[0].k.size());
    shorter.segments[0].length = 110;
    EXPECT_TRUE(same_bits(whole, backend.attend(shorter.describe(shorter.fill(backend)), c.q)))
        << variant.name();
  }
}

// A product that underflows leaves -0 in a sum; tokens that only another row sees would turn it to
// 0.
TEST(Attention, OtherRowsDoNotChangeTheSignOfZero) {
  for (const Variant& variant : variants()) {
    PlanCase c;
    c.shape = variant.apply(head_shape(4, 1, 1));
    c.shape.scale = 1.0f;
    PlainKv kv{Rows(128 * 4, 0.0f), Rows(128 * 4, 0.0f), 128};
    kv.k[1] = 1.0f;  // token 0, in a dimension that hardly turns: its score is 1, the others' 0
    for (int64_t i = 64 * 4; i < 128 * 4; ++i) kv.v[static_cast<size_t>(i)] = 1.0f;
    kv.v[63 * 4] = -std::numeric_limits<float>::denorm_min();  // the last that the first row sees
    c.kvs.push_back(kv);
    c.add_segment(0, DBSA_SEGMENT_CAUSAL, 0, 128, 0);
    c.add_range(65, 63);
    c.q.assign(static_cast<size_t>(65 * 4), 0.0f);
    for (size_t row = 0; row < 65; ++row) c.q[row * 4 + 1] = 1.0f;
    Backend backend(variant.path, 1, c.shape);
    const auto handles = c.fill(backend);
    const Rows out = backend.attend(c.describe(handles), c.q);
    PlanCase single = only_rows(c, 0, 1);
    EXPECT_TRUE(same_bits(Rows(out.begin(), out.begin() + 4),
                          backend.attend(single.describe(handles), single.q)))
        << variant.name();
  }
}

// Rows of one range of which some see nothing of a segment, as under a window.
TEST(Attention, RowsThatSeeNothingOfASegment) {
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(21);
    PlanCase c;
    c.shape = variant.apply(head_shape(64, 1, 1));
    const int early = c.add_kv(random, 150);
    const int late = c.add_kv(random, 150);
    c.add_segment(early, DBSA_SEGMENT_WINDOW, 0, 150, 0, 40);
    c.add_segment(late, DBSA_SEGMENT_WINDOW, 0, 150, 150, 40);
    c.add_range(300, 0);
    c.draw_queries(random);
    Backend backend(variant.path, 1, c.shape);
    const auto handles = c.fill(backend);
    const Rows out = backend.attend(c.describe(handles), c.q);
    c.take_back(backend, handles);
    EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), tolerance(variant))
        << variant.name();
    for (const int64_t row : {0, 149, 150, 189, 190, 299}) {
      PlanCase single = only_rows(c, row, 1);
      const Rows alone = backend.attend(single.describe(handles), single.q);
      EXPECT_TRUE(same_bits(Rows(out.begin() + row * 64, out.begin() + (row + 1) * 64), alone))
          << variant.name() << ", row " << row;
    }
  }
}

// Large scores: softmax must neither overflow nor lose the largest.
TEST(Attention, LargeScores) {
  for (const Variant& variant : variants()) {
    std::mt19937_64 random(13);
    PlanCase c = random_case(99, variant.apply(head_shape(64, 2, 1)), 50);
    for (float& value : c.q) value *= 300.0f;
    Backend backend(variant.path, 1, c.shape);
    const auto handles = c.fill(backend);
    const Rows out = backend.attend(c.describe(handles), c.q);
    for (const float value : out) ASSERT_TRUE(std::isfinite(value)) << variant.name();
    if (variant.dot) continue;  // a rounded query moves scores of this size by whole units
    c.take_back(backend, handles);
    EXPECT_LE(worst_row_error(out, c.oracle(), c.shape.query_width()), 300 * tolerance(variant))
        << variant.name();
  }
}

}  // namespace
}  // namespace dbsa::test
