// Attention plans for tests, with the memory they point to.
#pragma once

#include "tests/backend/backend_fixture.h"
#include "tests/backend/oracle.h"

#include <map>

namespace dbsa::test {

inline int64_t draw(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

struct PlanCase {
  Shape shape;
  std::vector<PlainKv> kvs;
  std::vector<int> kv_of_segment;
  std::vector<dbsa_segment> segments;
  std::vector<dbsa_row_range> ranges;
  std::vector<int32_t> positions;
  Rows q;

  using Handles = std::vector<Backend::Handle<dbsa_kv>>;

  int add_kv(std::mt19937_64& random, int64_t tokens) {
    const int64_t count = tokens * shape.kv_width();
    kvs.push_back({random_rows(random, count), random_rows(random, count), tokens});
    return static_cast<int>(kvs.size()) - 1;
  }
  void add_segment(int kv, int32_t kind, int64_t first, int64_t length, int64_t start,
                   int64_t window = 0) {
    dbsa_segment segment = {};
    segment.struct_size = sizeof segment;
    segment.kind = kind;
    segment.first_token = first;
    segment.length = length;
    segment.start = start;
    segment.window = window;
    segments.push_back(segment);
    kv_of_segment.push_back(kv);
  }
  // Rows at positions first.. that see the segments added since the last range.
  void add_range(int64_t rows, int64_t first_position) {
    dbsa_row_range range = {};
    range.struct_size = sizeof range;
    range.first_row = static_cast<int64_t>(positions.size());
    range.rows = rows;
    if (!ranges.empty()) {
      range.first_segment = ranges.back().first_segment + ranges.back().segment_count;
    }
    range.segment_count = static_cast<int64_t>(segments.size()) - range.first_segment;
    ranges.push_back(range);
    for (int64_t i = 0; i < rows; ++i)
      positions.push_back(static_cast<int32_t>(first_position + i));
  }
  void draw_queries(std::mt19937_64& random) {
    q = random_rows(random, static_cast<int64_t>(positions.size()) * shape.query_width());
  }

  // The plan over KV objects that a backend holds. Points into this object.
  dbsa_plan_description describe(const Handles& handles) {
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
  // Under int8 blocks are quantised and what is being computed is not: of several KV objects all
  // but the last are blocks.
  bool is_sealed(const Backend& backend, size_t kv) const {
    return backend.shape().kv_dtype == DBSA_KV_DTYPE_I8 && (kvs.size() == 1 || kv + 1 < kvs.size());
  }
  Handles fill(Backend& backend) const {
    Handles handles;
    for (const PlainKv& kv : kvs) {
      handles.push_back(backend.filled_kv(kv.k, kv.v));
      if (is_sealed(backend, handles.size() - 1))
        handles.back() = backend.sealed(handles.back(), kv.tokens_held(backend.shape()));
    }
    return handles;
  }
  // Replaces what the oracle sees by what the backend keeps.
  void take_back(Backend& backend, const Handles& handles) {
    for (size_t i = 0; i < kvs.size(); ++i) {
      if (backend.shape().kv_dtype == DBSA_KV_DTYPE_I8 && !is_sealed(backend, i)) {
        Shape live = backend.shape();
        live.kv_dtype = DBSA_KV_DTYPE_BF16;
        Backend twin(backend.instructions(), 1, live);
        kvs[i] = twin.stored(twin.filled_kv(kvs[i].k, kvs[i].v), kvs[i].tokens);
      } else {
        kvs[i] = backend.stored(handles[i], kvs[i].tokens);
      }
    }
  }
  std::vector<double> oracle() {
    const dbsa_plan_description plan = describe(Handles(kvs.size()));
    std::vector<const PlainKv*> held;
    for (const int i : kv_of_segment) held.push_back(&kvs[static_cast<size_t>(i)]);
    return attend_oracle(shape, plan, held, q);
  }
};

// A block as a pool is encoded: `full` blocks in full, each at its own start, some of them
// split in two segments, then the block itself, causal or through a window.
inline void add_block(PlanCase& c, std::mt19937_64& random, int64_t full, int64_t far) {
  for (int64_t b = 0; b < full; ++b) {
    const int64_t tokens = draw(random, 1, 97);
    const int kv = c.add_kv(random, tokens);
    const int64_t start = draw(random, -far, far);
    const int64_t cut = draw(random, 0, tokens);
    if (cut > 0) c.add_segment(kv, DBSA_SEGMENT_FULL, 0, cut, start);
    if (cut < tokens) {
      const bool moved = draw(random, 0, 1) == 1;  // the second half somewhere else altogether
      c.add_segment(kv, DBSA_SEGMENT_FULL, cut, tokens - cut,
                    moved ? draw(random, -far, far) : start + cut);
    }
  }
  const int64_t tokens = draw(random, 1, 97);
  const int64_t start = draw(random, -far, far);
  const bool window = draw(random, 0, 2) == 0;
  c.add_segment(c.add_kv(random, tokens), window ? DBSA_SEGMENT_WINDOW : DBSA_SEGMENT_CAUSAL, 0,
                tokens, start, window ? draw(random, 1, tokens + 8) : 0);
  c.add_range(tokens, start);
}

// One to three blocks, each with 0..3 anchors and 0..4 previous blocks in view.
inline PlanCase random_case(uint64_t seed, const Shape& shape, int64_t far) {
  std::mt19937_64 random(seed);
  PlanCase c;
  c.shape = shape;
  const int64_t blocks = draw(random, 1, 3);
  for (int64_t b = 0; b < blocks; ++b) {
    add_block(c, random, draw(random, 0, 3) + draw(random, 0, 4), far);
  }
  c.draw_queries(random);
  return c;
}

// The kinds of arithmetic on every code path of this machine.
struct Variant {
  std::string path;
  uint32_t compute;
  uint32_t kv_dtype;
  bool dot;  // queries and softmax weights are rounded to bfloat16

  std::string name() const {
    return path + (compute == DBSA_COMPUTE_F32 ? ", compute f32" : ", compute bf16") +
           (kv_dtype == DBSA_KV_DTYPE_F32    ? ", KV f32"
            : kv_dtype == DBSA_KV_DTYPE_BF16 ? ", KV bf16"
                                             : ", KV int8");
  }
  Shape apply(Shape shape) const {
    shape.compute = compute;
    shape.kv_dtype = kv_dtype;
    return shape;
  }
};

inline std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const std::string& path : code_paths()) {
    all.push_back({path, DBSA_COMPUTE_F32, DBSA_KV_DTYPE_F32, false});
    all.push_back({path, DBSA_COMPUTE_F32, DBSA_KV_DTYPE_BF16, false});
    const bool dot = path.ends_with("_bf16") || path == "cuda";
    all.push_back({path, DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_BF16, dot});
    all.push_back({path, DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_F32, false});
    if (!on_cpu()) continue;  // only the CPU has int8
    all.push_back({path, DBSA_COMPUTE_F32, DBSA_KV_DTYPE_I8, false});
    all.push_back({path, DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_I8, dot});
  }
  return all;
}

inline Shape head_shape(int32_t head_dim, int32_t group, int32_t kv_heads) {
  Shape shape;
  shape.kv_heads = kv_heads;
  shape.query_heads = group * kv_heads;
  shape.head_dim = head_dim;
  shape.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  return shape;
}

}  // namespace dbsa::test
