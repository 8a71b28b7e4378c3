// Plan attention against the oracle, and its promise of bit-identical rows.
#include "tests/backend/backend_fixture.h"
#include "tests/backend/oracle.h"

namespace dbsa::test {
namespace {

// A plan with its memory: KV objects, segments, ranges and rows drawn at random.
struct Case {
  Shape shape;
  std::vector<PlainKv> kvs;
  std::vector<int> kv_of_segment;
  std::vector<dbsa_segment> segments;
  std::vector<dbsa_row_range> ranges;
  std::vector<int32_t> positions;
  Rows q;

  // The plan over KV objects that `backend` holds. Valid until the next call.
  dbsa_plan_description describe(const std::vector<Backend::Handle<dbsa_kv>>& handles) {
    for (size_t s = 0; s < segments.size(); ++s) {
      segments[s].kv = handles[static_cast<size_t>(kv_of_segment[s])].get();
    }
    dbsa_plan_description plan = {};
    plan.struct_size = sizeof plan;
    plan.rows = static_cast<int64_t>(positions.size());
    plan.positions = positions.data();
    plan.range_count = static_cast<int64_t>(ranges.size());
    plan.ranges = ranges.data();
    plan.segment_count = static_cast<int64_t>(segments.size());
    plan.segments = segments.data();
    return plan;
  }
  std::vector<Backend::Handle<dbsa_kv>> fill(Backend& backend) const {
    std::vector<Backend::Handle<dbsa_kv>> handles;
    for (const PlainKv& kv : kvs) handles.push_back(backend.filled_kv(kv.k, kv.v));
    return handles;
  }
  std::vector<double> oracle() {
    std::vector<Backend::Handle<dbsa_kv>> none(kvs.size());
    const dbsa_plan_description plan = describe(none);
    std::vector<const PlainKv*> held;
    for (const int i : kv_of_segment) held.push_back(&kvs[static_cast<size_t>(i)]);
    return attend_oracle(shape, plan, held, q);
  }
};

int64_t draw(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

void add_segment(Case& c, int kv, int32_t kind, int64_t first, int64_t length, int64_t start,
                 int64_t window = 0) {
  dbsa_segment segment = {};
  segment.struct_size = sizeof segment;
  segment.kind = kind;
  segment.first_token = first;
  segment.length = length;
  segment.start = start;
  segment.window = window;
  c.segments.push_back(segment);
  c.kv_of_segment.push_back(kv);
}

// A block as a pool is encoded: `anchors` and `previous` blocks in full, each at a start of its
// own, some of them split in two segments, then the block itself, causal or through a window.
void add_block_range(Case& c, std::mt19937_64& random, int64_t anchors, int64_t previous,
                     int64_t far) {
  const int64_t width = c.shape.kv_width();
  const auto first_segment = static_cast<int64_t>(c.segments.size());
  const auto add_kv = [&](int64_t tokens) {
    c.kvs.push_back(
        {random_rows(random, tokens * width), random_rows(random, tokens * width), tokens});
    return static_cast<int>(c.kvs.size()) - 1;
  };
  for (int64_t b = 0; b < anchors + previous; ++b) {
    const int64_t tokens = draw(random, 1, 97);
    const int kv = add_kv(tokens);
    const int64_t start = draw(random, -far, far);
    const int64_t cut = draw(random, 0, tokens);
    if (cut > 0) add_segment(c, kv, DBSA_SEGMENT_FULL, 0, cut, start);
    if (cut < tokens) {
      const bool moved = draw(random, 0, 1) == 1;  // the second half somewhere else altogether
      add_segment(c, kv, DBSA_SEGMENT_FULL, cut, tokens - cut,
                  moved ? draw(random, -far, far) : start + cut);
    }
  }
  const int64_t tokens = draw(random, 1, 97);
  const int64_t start = draw(random, -far, far);
  const bool window = draw(random, 0, 2) == 0;
  add_segment(c, add_kv(tokens), window ? DBSA_SEGMENT_WINDOW : DBSA_SEGMENT_CAUSAL, 0, tokens,
              start, window ? draw(random, 1, tokens + 8) : 0);
  dbsa_row_range range = {};
  range.struct_size = sizeof range;
  range.first_row = static_cast<int64_t>(c.positions.size());
  range.rows = tokens;
  range.first_segment = first_segment;
  range.segment_count = static_cast<int64_t>(c.segments.size()) - first_segment;
  c.ranges.push_back(range);
  for (int64_t t = 0; t < tokens; ++t) c.positions.push_back(static_cast<int32_t>(start + t));
}

Case random_case(uint64_t seed, const Shape& shape, int64_t far) {
  std::mt19937_64 random(seed);
  Case c;
  c.shape = shape;
  const int64_t blocks = draw(random, 1, 3);
  for (int64_t b = 0; b < blocks; ++b) {
    add_block_range(c, random, draw(random, 0, 3), draw(random, 0, 4), far);
  }
  c.q = random_rows(random, static_cast<int64_t>(c.positions.size()) * shape.query_width());
  return c;
}

struct Variant {
  std::string path;
  uint32_t compute;
  uint32_t kv_dtype;
  // Relative error of a row. float32: rotations and sums err by a few 2^-24 of the scores' size,
  // which enters the weights as an absolute error of about 1e-6. bfloat16 KV: keys, values (and
  // where the path multiplies bfloat16, queries and weights) are each off by up to 2^-9, at random;
  // a score of deviation 1 by about 2^-8, the weighted mean of V by less.
  double tolerance;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const std::string& path : code_paths()) {
    all.push_back({path, DBSA_COMPUTE_F32, DBSA_KV_DTYPE_F32, 5e-6});
    all.push_back({path, DBSA_COMPUTE_F32, DBSA_KV_DTYPE_BF16, 1.2e-2});
    all.push_back({path, DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_BF16, 1.5e-2});
  }
  return all;
}

TEST(Attention, EqualsTheOracle) {
  double worst[3] = {};
  for (const Variant& variant : variants()) {
    double most = 0;
    uint64_t seed = 1000;
    for (const int32_t head_dim : {64, 80, 128, 20}) {
      for (const int32_t group : {1, 4, 8, 3}) {
        Shape shape;
        shape.kv_heads = group == 8 ? 1 : 2;
        shape.query_heads = group * shape.kv_heads;
        shape.head_dim = head_dim;
        shape.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
        shape.compute = variant.compute;
        shape.kv_dtype = variant.kv_dtype;
        const int64_t far = seed % 3 == 0 ? 1000000 : seed % 3 == 1 ? 5000 : 100;
        Case c = random_case(++seed, shape, far);
        Backend backend(variant.path, 2, shape);
        const auto handles = c.fill(backend);
        const Rows out = backend.attend(c.describe(handles), c.q);
        const double error = worst_row_error(out, c.oracle(), shape.query_width());
        EXPECT_LE(error, variant.tolerance)
            << variant.path << " compute " << variant.compute << " kv " << variant.kv_dtype
            << " head_dim " << head_dim << " group " << group << " seed " << seed;
        if (!(error <= most)) most = error;
      }
    }
    std::printf("%-12s compute %s kv %s: worst row error %.2e\n", variant.path.c_str(),
                variant.compute == DBSA_COMPUTE_F32 ? "f32 " : "bf16",
                variant.kv_dtype == DBSA_KV_DTYPE_F32 ? "f32 " : "bf16", most);
    (void)worst;
  }
}

}  // namespace
}  // namespace dbsa::test
