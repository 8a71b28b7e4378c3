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
  Run(const Host& host, const Kernels& kernels, const AttentionShape& shape, const dbsa_plan& plan,
      int32_t layer, const float* q, float* out)
      : host_(host),
        kernels_(kernels),
        shape_(shape),
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
  void finish(const Unit& unit, const AttentionState& total) const;

  // Floats of scratch slot 1: two states.
  float* own_states() const { return host_.scratch<float>(1, 2 * state_floats()); }

 private:
  // Rows first_row.. of the plan, their states, and scratch for so many.
  struct Rows {
    int64_t first_row;
    int64_t rows;
    int64_t kv_head;
    AttentionState state;
    void* rotated;
    int64_t rotated_by;  // kNoShift at first
    float* scores;
    void* weights;
    int64_t* low;
    int64_t* high;
    uint32_t* widened;  // of int8 only
  };
  Rows all_rows(const Unit& unit, const AttentionState& state) const;
  // Those of the range's pieces first..last - 1 that lie in a part of it.
  void run_pieces(Rows rows, const Range& range, int64_t part, int64_t first, int64_t last) const;
  void run_piece(Rows& rows, const Piece& piece, const Piece* next) const;
  void rotate_rows(Rows& rows, int64_t by) const;
  void fetch_ahead(const Piece& next, int64_t kv_head, AttendArgs& args) const;
  int64_t query_bytes() const { return head_dim_ * (shape_.arithmetic == kBf16Dot ? 2 : 4); }

  const Host& host_;
  const Kernels& kernels_;
  const AttentionShape& shape_;
  const dbsa_plan& plan_;
  const int32_t layer_;
  const float* q_;
  float* out_;
  const int64_t head_dim_;
  const int64_t v_width_;
  const int64_t group_;
};

// Rotates query rows for a shift, always from the rows as given, and rounds once.
void Run::rotate_rows(Rows& rows, int64_t by) const {
  rows.rotated_by = by;
  const int64_t half = head_dim_ / 2;
  float* row_f32 = host_.scratch<float>(2, head_dim_);
  for (int64_t i = 0; i < rows.rows; ++i) {
    const int64_t row = rows.first_row + i;
    const float* cosine = plan_.rotations.cosine(plan_.positions[static_cast<size_t>(row)] - by);
    for (int64_t g = 0; g < group_; ++g) {
      const float* from = q_ + (row * shape_.query_heads + rows.kv_head * group_ + g) * head_dim_;
      char* to = static_cast<char*>(rows.rotated) + (i * group_ + g) * query_bytes();
      if (shape_.arithmetic == kBf16Dot) {
        kernels_.rotate(from, cosine, cosine + half, half, shape_.scale, row_f32);
        kernels_.to_bf16(row_f32, head_dim_, reinterpret_cast<uint16_t*>(to));
      } else {
        kernels_.rotate(from, cosine, cosine + half, half, shape_.scale,
                        reinterpret_cast<float*>(to));
      }
    }
  }
}

// Says where the piece after this one begins.
void Run::fetch_ahead(const Piece& next, int64_t kv_head, AttendArgs& args) const {
  const dbsa_kv& kv = *plan_.segments[static_cast<size_t>(next.segment)].kv;
  if (kv.layout.type == KvType::kInt8) return;
  const auto* plane = static_cast<const char*>(kv.planes[static_cast<size_t>(layer_)]);
  const KvLayout::Head head = kv.layout.head(kv.tokens, kv_head);
  const int64_t chunk = next.begin / kChunk * kChunk;
  args.next_k = plane + head.keys + chunk * head_dim_ * kv.layout.element_bytes();
  args.next_v = plane + head.values + chunk * v_width_ * kv.layout.element_bytes();
}

Run::Rows Run::all_rows(const Unit& unit, const AttentionState& state) const {
  const int64_t merged = unit.tile->rows * group_;
  Rows rows = {};
  rows.first_row = unit.tile->first_row;
  rows.rows = unit.tile->rows;
  rows.kv_head = unit.kv_head;
  rows.state = state;
  rows.rotated = host_.scratch<char>(3, merged * query_bytes());
  rows.rotated_by = kNoShift;
  rows.scores = host_.scratch<float>(4, merged * kChunk);
  rows.weights = host_.scratch<uint16_t>(5, merged * kChunk);
  rows.low = host_.scratch<int64_t>(6, 2 * merged);
  rows.high = rows.low + merged;
  if (shape_.stored.type == KvType::kInt8)
    rows.widened = host_.scratch<uint32_t>(7, kChunk * (head_dim_ + v_width_) / 2);
  return rows;
}

void Run::run_piece(Rows& rows, const Piece& piece, const Piece* next) const {
  const dbsa_segment& segment = plan_.segments[static_cast<size_t>(piece.segment)];
  bool seen = false;
  for (int64_t i = 0; i < rows.rows; ++i) {
    const Interval tokens =
        visible_tokens(segment, plan_.positions[static_cast<size_t>(rows.first_row + i)]);
    seen = seen || (tokens.begin < piece.end && tokens.end > piece.begin);
    std::fill_n(rows.low + i * group_, group_, tokens.begin);
    std::fill_n(rows.high + i * group_, group_, tokens.end);
  }
  if (!seen) return;
  if (rows.rotated_by != shift(segment)) rotate_rows(rows, shift(segment));
  const dbsa_kv& kv = *segment.kv;
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
  args.begin = piece.begin;
  args.end = piece.end;
  args.low = rows.low;
  args.high = rows.high;
  args.scores = rows.scores;
  args.weights = rows.weights;
  args.state = rows.state;
  kernels_.attend[shape_.arithmetic](args);
}

void Run::run_pieces(Rows rows, const Range& range, int64_t part, int64_t first,
                     int64_t last) const {
  if (part >= range.parts) return;
  const Part& of = plan_.parts[static_cast<size_t>(range.first_part + part)];
  const int64_t begin = std::max(of.first_piece, range.first_piece + first);
  const int64_t end = std::min(of.first_piece + of.pieces, range.first_piece + last);
  const Piece* const pieces = plan_.pieces.data();
  for (int64_t p = begin; p < end; ++p) {
    const bool more = p + 1 < range.first_piece + range.pieces;
    run_piece(rows, pieces[p], more ? pieces + p + 1 : nullptr);
  }
}

// What the ranges of the tile share, for all of its rows; then the rest of each.
void Run::run_part(const Unit& unit, int64_t part, const AttentionState& state) const {
  clear(state);
  const Tile& tile = *unit.tile;
  const Range* const ranges = plan_.ranges.data() + tile.first_range;
  const Rows all = all_rows(unit, state);
  run_pieces(all, ranges[0], part, 0, tile.shared_pieces);
  if (tile.ranges == 1) return;
  for (const Range* range = ranges; range < ranges + tile.ranges; ++range) {
    const int64_t before = (range->first_row - tile.first_row) * group_;
    Rows own = all;
    own.first_row = range->first_row;
    own.rows = range->rows;
    own.state = {state.m + before, state.l + before * kGroup, state.acc + before * v_width_,
                 range->rows * group_};
    run_pieces(own, *range, part, tile.shared_pieces, range->pieces);
  }
}

void Run::finish(const Unit& unit, const AttentionState& total) const {
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
                   const dbsa_plan& plan, int32_t layer, const float* q, float* out,
                   Memory& workspace) {
  const Run run(host, kernels, shape, plan, layer, q, out);
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
        run.finish(unit, total);
      }
    });
    return;
  }

  // Few rows: the parts of a unit run side by side, each into a state of its own, and are merged in
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
      run.finish(unit, total);
    }
  });
}

}  // namespace dbsa::cpu
