#include "attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace dbsa::cpu {
namespace {

constexpr int64_t kGrain = 1;
constexpr int64_t kNoShift = std::numeric_limits<int64_t>::min();

// Rows of all query heads that share a KV head are attended together: merged row i * group + g is
// row i of the tile under query head kv_head * group + g.
struct Unit {
  const Tile* tile;
  int64_t kv_head;
};

class Run {
 public:
  Run(const Host& host, const Kernels& kernels, const AttentionShape& shape,
      const AttentionType& type, const dbsa_plan& plan, int32_t layer, const float* q, float* out)
      : host_(host),
        kernels_(kernels),
        shape_(shape),
        type_(type),
        plan_(plan),
        layer_(layer),
        q_(q),
        out_(out),
        head_dim_(shape.live.head_dim),
        v_width_(shape.live.v_width()),
        group_(shape.query_heads / shape.live.kv_heads) {}

  int64_t units() const { return static_cast<int64_t>(plan_.tiles.size()) * shape_.live.kv_heads; }
  // All tiles of one head before the next: those of a range read the same keys and values, and
  // those of several queries find the blocks they share in a cache.
  Unit unit(int64_t index) const {
    const auto tiles = static_cast<int64_t>(plan_.tiles.size());
    return {&plan_.tiles[static_cast<size_t>(index % tiles)], index / tiles};
  }
  // A multiple of 16, so that states side by side stay aligned.
  int64_t state_floats() const {
    return (plan_.tile_rows * (1 + kGroup + v_width_) + 15) / 16 * 16;
  }
  AttentionState state(const Unit& unit, float* memory) const {
    AttentionState made;
    made.rows = unit.tile->rows * group_;
    made.l = memory;
    made.acc = memory + made.rows * kGroup;
    made.m = made.acc + made.rows * v_width_;
    return made;
  }
  void clear(const AttentionState& state) const {
    std::memset(state.l, 0, static_cast<size_t>(state.rows * kGroup) * sizeof(float));
    std::memset(state.acc, 0, static_cast<size_t>(state.rows * v_width_) * sizeof(float));
    std::fill_n(state.m, state.rows, -std::numeric_limits<float>::infinity());
  }

  void run_part(const Unit& unit, int64_t part, const AttentionState& state) const;
  // The sinks take part in `total`; `spare` is overwritten.
  void finish(const Unit& unit, const AttentionState& total, const AttentionState& spare) const;

  // Floats of scratch slot 1: two states.
  float* own_states() const { return host_.scratch<float>(1, 2 * state_floats()); }

 private:
  // Rows of a tile that take a step, and scratch for as many as the tile has.
  struct Rows {
    int64_t first_row;  // of the plan
    int64_t rows;
    int64_t kv_head;
    AttentionState state;
    void* rotated;  // [rows * group] queries
    int64_t* by;    // [rows]: the shift for which each is rotated
    float* scores;
    void* weights;
    int64_t* low;  // [rows * group]
    int64_t* high;
    uint32_t* widened;  // of int8 only
  };
  void add_sinks(const Unit& unit, const AttentionState& total, const AttentionState& spare) const;
  Rows all_rows(const Unit& unit, const AttentionState& state) const;
  Rows rows_of(const Step& step, const Tile& tile, const Rows& all) const;
  void run_step(const Step& step, const Step* next, const Rows& rows) const;
  bool prepare_rows(const Step& step, const Rows& rows) const;
  void rotate_row(int64_t index, int64_t by, const Rows& rows) const;
  void fetch_ahead(const Step& next, int64_t kv_head, AttendArgs& args) const;
  // Of the step's first range; all have the same KV object.
  const dbsa_kv& kv_of(const Step& step) const {
    const Range& range = plan_.ranges[static_cast<size_t>(step.first_range)];
    return *segment_of(plan_.pieces[static_cast<size_t>(range.first_piece + step.piece)]).kv;
  }
  const dbsa_segment& segment_of(const Piece& piece) const {
    return plan_.segments[static_cast<size_t>(piece.segment)];
  }
  int64_t query_bytes() const { return head_dim_ * (shape_.arithmetic == kBf16Dot ? 2 : 4); }

  const Host& host_;
  const Kernels& kernels_;
  const AttentionShape& shape_;
  const AttentionType& type_;
  const dbsa_plan& plan_;
  const int32_t layer_;
  const float* q_;
  float* out_;
  const int64_t head_dim_;
  const int64_t v_width_;
  const int64_t group_;
};

// Rotates a row's queries for a shift, always from the row as given, and rounds once.
void Run::rotate_row(int64_t index, int64_t by, const Rows& rows) const {
  if (rows.by[index] == by) return;
  rows.by[index] = by;
  const int64_t half = head_dim_ / 2;
  float* row_f32 = host_.scratch<float>(2, head_dim_);
  const int64_t row = rows.first_row + index;
  const float* cosine = plan_.rotations.cosine(plan_.positions[static_cast<size_t>(row)] - by);
  for (int64_t g = 0; g < group_; ++g) {
    const float* from = q_ + (row * shape_.query_heads + rows.kv_head * group_ + g) * head_dim_;
    char* to = static_cast<char*>(rows.rotated) + (index * group_ + g) * query_bytes();
    if (shape_.arithmetic == kBf16Dot) {
      kernels_.rotate(from, cosine, cosine + half, half, type_.scale, row_f32);
      kernels_.to_bf16(row_f32, head_dim_, reinterpret_cast<uint16_t*>(to));
    } else {
      kernels_.rotate(from, cosine, cosine + half, half, type_.scale, reinterpret_cast<float*>(to));
    }
  }
}

// Says where the step after this one begins.
void Run::fetch_ahead(const Step& next, int64_t kv_head, AttendArgs& args) const {
  const dbsa_kv& kv = kv_of(next);
  if (kv.layout.type == KvType::kInt8) return;
  const auto* plane = static_cast<const char*>(kv.planes[static_cast<size_t>(layer_)]);
  const KvLayout::Head head = kv.layout.head(kv.tokens, kv_head);
  const int64_t chunk = next.begin / kChunk * kChunk;
  args.next_k = plane + head.keys + chunk * head_dim_ * kv.layout.element_bytes();
  args.next_v = plane + head.values + chunk * v_width_ * kv.layout.element_bytes();
}

Run::Rows Run::all_rows(const Unit& unit, const AttentionState& state) const {
  const int64_t count = unit.tile->rows;
  const int64_t merged = count * group_;
  Rows rows = {};
  rows.first_row = unit.tile->first_row;
  rows.rows = count;
  rows.kv_head = unit.kv_head;
  rows.state = state;
  rows.rotated = host_.scratch<char>(3, merged * query_bytes());
  rows.scores = host_.scratch<float>(4, merged * kChunk);
  rows.weights = host_.scratch<uint16_t>(5, merged * kChunk);
  rows.low = host_.scratch<int64_t>(6, 2 * merged + count);
  rows.high = rows.low + merged;
  rows.by = rows.high + merged;
  std::fill_n(rows.by, count, kNoShift);
  if (shape_.stored.type == KvType::kInt8)
    rows.widened = host_.scratch<uint32_t>(7, kChunk * (head_dim_ + v_width_) / 2);
  return rows;
}

// Those of the step's ranges that lie in the tile.
Run::Rows Run::rows_of(const Step& step, const Tile& tile, const Rows& all) const {
  if (step.ranges == tile.ranges) return all;
  const Range& first = plan_.ranges[static_cast<size_t>(step.first_range)];
  const Range& last = plan_.ranges[static_cast<size_t>(step.first_range + step.ranges - 1)];
  Rows rows = all;
  rows.first_row = std::max(first.first_row, tile.first_row);
  rows.rows = std::min(last.first_row + last.rows, tile.first_row + tile.rows) - rows.first_row;
  const int64_t before = rows.first_row - tile.first_row;
  const int64_t merged = before * group_;
  rows.state = {all.state.m + merged, all.state.l + merged * kGroup,
                all.state.acc + merged * v_width_, rows.rows * group_};
  rows.rotated = static_cast<char*>(all.rotated) + merged * query_bytes();
  rows.by += before;
  return rows;
}

// Sets what each row sees of the piece in its range, and rotates it for that; whether any sees
// something.
bool Run::prepare_rows(const Step& step, const Rows& rows) const {
  bool seen = false;
  const Range* range = plan_.ranges.data() + step.first_range;
  const Piece* piece = plan_.pieces.data() + range->first_piece + step.piece;
  for (int64_t i = 0; i < rows.rows; ++i) {
    const int64_t row = rows.first_row + i;
    if (row == range->first_row + range->rows) {
      ++range;
      piece = plan_.pieces.data() + range->first_piece + step.piece;
    }
    const dbsa_segment& segment = segment_of(*piece);
    Interval tokens = visible_tokens(segment, plan_.positions[static_cast<size_t>(row)]);
    tokens.begin = std::max(tokens.begin, piece->begin);
    tokens.end = std::min(tokens.end, piece->end);
    if (tokens.begin < tokens.end) {
      seen = true;
      rotate_row(i, shift(segment), rows);
    } else {
      tokens = {step.end, step.end};
    }
    std::fill_n(rows.low + i * group_, group_, tokens.begin);
    std::fill_n(rows.high + i * group_, group_, tokens.end);
  }
  return seen;
}

void Run::run_step(const Step& step, const Step* next, const Rows& rows) const {
  if (!prepare_rows(step, rows)) return;
  const dbsa_kv& kv = kv_of(step);
  const auto* plane = static_cast<const char*>(kv.planes[static_cast<size_t>(layer_)]);
  const KvLayout::Head head = kv.layout.head(kv.tokens, rows.kv_head);
  AttendArgs args = {};
  args.q = rows.rotated;
  args.q_stride = query_bytes();
  args.k = plane + head.keys;
  args.v = plane + head.values;
  if (next != nullptr) fetch_ahead(*next, rows.kv_head, args);
  if (kv.layout.type == KvType::kInt8) {
    args.k_scales = reinterpret_cast<const uint16_t*>(plane + head.key_scales);
    args.v_scales = reinterpret_cast<const uint16_t*>(plane + head.value_scales);
    args.widened = rows.widened;
  }
  args.head_dim = head_dim_;
  args.v_width = v_width_;
  args.begin = step.begin;
  args.end = step.end;
  args.low = rows.low;
  args.high = rows.high;
  args.scores = rows.scores;
  args.weights = rows.weights;
  args.state = rows.state;
  args.soft_cap = type_.soft_cap;
  kernels_.attend[shape_.arithmetic](args);
}

void Run::run_part(const Unit& unit, int64_t part, const AttentionState& state) const {
  clear(state);
  const Tile& tile = *unit.tile;
  const Part& of = plan_.parts[static_cast<size_t>(tile.first_part + part)];
  const Part& last = plan_.parts[static_cast<size_t>(tile.first_part + tile.parts - 1)];
  const Rows all = all_rows(unit, state);
  for (int64_t i = of.first_step; i < of.first_step + of.steps; ++i) {
    const Step* const step = plan_.steps.data() + i;
    const bool more = i + 1 < last.first_step + last.steps;
    run_step(*step, more ? step + 1 : nullptr, rows_of(*step, tile, all));
  }
}

// A sink is a separate part: one token of weight exp(sink) without a value.
void Run::add_sinks(const Unit& unit, const AttentionState& total,
                    const AttentionState& spare) const {
  clear(spare);
  for (int64_t row = 0; row < spare.rows; ++row) {
    spare.m[row] = type_.sink[static_cast<size_t>(unit.kv_head * group_ + row % group_)];
    spare.l[row * kGroup] = 1;
  }
  kernels_.merge(spare, total, v_width_);
}

void Run::finish(const Unit& unit, const AttentionState& total, const AttentionState& spare) const {
  if (!type_.sink.empty()) add_sinks(unit, total, spare);
  for (int64_t i = 0; i < unit.tile->rows; ++i) {
    const int64_t row = unit.tile->first_row + i;
    for (int64_t g = 0; g < group_; ++g) {
      kernels_.finish(total, i * group_ + g, v_width_, head_dim_,
                      out_ + (row * shape_.query_heads + unit.kv_head * group_ + g) * head_dim_);
    }
  }
}

}  // namespace

void run_attention(const Host& host, const Kernels& kernels, const AttentionShape& shape,
                   const AttentionType& type, const dbsa_plan& plan, int32_t layer, const float* q,
                   float* out, Memory& workspace) {
  const Run run(host, kernels, shape, type, plan, layer, q, out);
  const int64_t threads = host.thread_count();
  if (threads == 1 || plan.most_parts == 1 || run.units() >= 4 * threads) {
    host.parallel_for(run.units(), kGrain, [&](int64_t begin, int64_t end) {
      float* memory = run.own_states();
      for (int64_t i = begin; i < end; ++i) {
        const Unit unit = run.unit(i);
        const AttentionState total = run.state(unit, memory);
        const AttentionState partial = run.state(unit, memory + run.state_floats());
        run.clear(total);
        for (int64_t p = 0; p < unit.tile->parts; ++p) {
          run.run_part(unit, p, partial);
          kernels.merge(partial, total, shape.live.v_width());
        }
        run.finish(unit, total, partial);
      }
    });
    return;
  }

  // Few rows: the parts of a unit run side by side, each into its own state, and are merged in
  // the order in which one thread would have merged them.
  const int64_t slots = run.units() * plan.most_parts;
  auto* states = static_cast<float*>(
      workspace.reserve(static_cast<uint64_t>(slots * run.state_floats()) * sizeof(float)));
  host.parallel_for(slots, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Unit unit = run.unit(i / plan.most_parts);
      const int64_t p = i % plan.most_parts;
      if (p >= unit.tile->parts) continue;
      run.run_part(unit, p, run.state(unit, states + i * run.state_floats()));
    }
  });
  host.parallel_for(run.units(), kGrain, [&](int64_t begin, int64_t end) {
    float* memory = run.own_states();
    for (int64_t i = begin; i < end; ++i) {
      const Unit unit = run.unit(i);
      const AttentionState total = run.state(unit, memory);
      run.clear(total);
      for (int64_t p = 0; p < unit.tile->parts; ++p) {
        kernels.merge(run.state(unit, states + (i * plan.most_parts + p) * run.state_floats()),
                      total, shape.live.v_width());
      }
      run.finish(unit, total, run.state(unit, memory + run.state_floats()));
    }
  });
}

}  // namespace dbsa::cpu
