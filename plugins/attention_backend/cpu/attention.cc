#include "attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace dbsa::cpu {
namespace {

constexpr int64_t kGrain = 1;

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
  const Range& range(const Unit& unit) const {
    return plan_.ranges[static_cast<size_t>(unit.tile->range)];
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

  void run_part(const Unit& unit, const Part& part, const AttentionState& state) const;
  void finish(const Unit& unit, const AttentionState& total) const;

  // Floats of scratch slot 1: two states.
  float* own_states() const { return host_.scratch<float>(1, 2 * state_floats()); }

 private:
  void rotate_rows(const Unit& unit, int64_t by, void* rotated) const;
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

// Rotates the tile's query rows for a shift, always from the rows as given, and rounds once.
void Run::rotate_rows(const Unit& unit, int64_t by, void* rotated) const {
  const int64_t half = head_dim_ / 2;
  float* row_f32 = host_.scratch<float>(2, head_dim_);
  for (int64_t i = 0; i < unit.tile->rows; ++i) {
    const int64_t row = unit.tile->first_row + i;
    const float* cosine = plan_.rotations.cosine(plan_.positions[static_cast<size_t>(row)] - by);
    for (int64_t g = 0; g < group_; ++g) {
      const float* from = q_ + (row * shape_.query_heads + unit.kv_head * group_ + g) * head_dim_;
      char* to = static_cast<char*>(rotated) + (i * group_ + g) * query_bytes();
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

void Run::run_part(const Unit& unit, const Part& part, const AttentionState& state) const {
  const int64_t rows = state.rows;
  void* rotated = host_.scratch<char>(3, rows * query_bytes());
  float* scores = host_.scratch<float>(4, rows * kChunk);
  void* weights = host_.scratch<uint16_t>(5, rows * kChunk);
  int64_t* low = host_.scratch<int64_t>(6, 2 * rows);
  int64_t* high = low + rows;
  auto* widened = shape_.stored.type == KvType::kInt8
                      ? host_.scratch<uint32_t>(7, kChunk * (head_dim_ + v_width_) / 2)
                      : nullptr;
  clear(state);

  const Range& of = range(unit);
  const Part& last_part = plan_.parts[static_cast<size_t>(of.first_part + of.parts - 1)];
  const int64_t end_of_range = last_part.first_piece + last_part.pieces;
  int64_t rotated_by = 0;
  bool any_rotated = false;
  for (int64_t p = part.first_piece; p < part.first_piece + part.pieces; ++p) {
    const Piece& piece = plan_.pieces[static_cast<size_t>(p)];
    const dbsa_segment& segment = plan_.segments[static_cast<size_t>(piece.segment)];
    bool seen = false;
    for (int64_t i = 0; i < unit.tile->rows; ++i) {
      const Interval tokens =
          visible_tokens(segment, plan_.positions[static_cast<size_t>(unit.tile->first_row + i)]);
      seen = seen || (tokens.begin < piece.end && tokens.end > piece.begin);
      std::fill_n(low + i * group_, group_, tokens.begin);
      std::fill_n(high + i * group_, group_, tokens.end);
    }
    if (!seen) continue;
    if (!any_rotated || rotated_by != shift(segment)) {
      rotated_by = shift(segment);
      any_rotated = true;
      rotate_rows(unit, rotated_by, rotated);
    }
    const dbsa_kv& kv = *segment.kv;
    const auto* plane = static_cast<const char*>(kv.planes[static_cast<size_t>(layer_)]);
    const KvLayout::Head head = kv.layout.head(kv.tokens, unit.kv_head);
    AttendArgs args = {};
    args.q = rotated;
    args.q_stride = query_bytes();
    args.k = plane + head.keys;
    args.v = plane + head.values;
    if (p + 1 < end_of_range)
      fetch_ahead(plan_.pieces[static_cast<size_t>(p + 1)], unit.kv_head, args);
    if (kv.layout.type == KvType::kInt8) {
      args.k_scales = reinterpret_cast<const uint16_t*>(plane + head.key_scales);
      args.v_scales = reinterpret_cast<const uint16_t*>(plane + head.value_scales);
      args.widened = widened;
    }
    args.head_dim = head_dim_;
    args.v_width = v_width_;
    args.begin = piece.begin;
    args.end = piece.end;
    args.low = low;
    args.high = high;
    args.scores = scores;
    args.weights = weights;
    args.state = state;
    kernels_.attend[shape_.arithmetic](args);
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
  const auto part_of = [&](const Unit& unit, int64_t index) -> const Part& {
    return plan.parts[static_cast<size_t>(run.range(unit).first_part + index)];
  };
  const int64_t threads = host.thread_count();
  if (threads == 1 || plan.most_parts == 1 || run.units() >= 4 * threads) {
    host.parallel_for(run.units(), kGrain, [&](int64_t begin, int64_t end) {
      float* memory = run.own_states();
      for (int64_t i = begin; i < end; ++i) {
        const Unit unit = run.unit(i);
        const AttentionState total = run.state(unit, memory);
        const AttentionState partial = run.state(unit, memory + run.state_floats());
        run.clear(total);
        for (int64_t p = 0; p < run.range(unit).parts; ++p) {
          run.run_part(unit, part_of(unit, p), partial);
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
      if (p >= run.range(unit).parts) continue;
      run.run_part(unit, part_of(unit, p), run.state(unit, states + i * run.state_floats()));
    }
  });
  host.parallel_for(run.units(), kGrain, [&](int64_t begin, int64_t end) {
    float* memory = run.own_states();
    for (int64_t i = begin; i < end; ++i) {
      const Unit unit = run.unit(i);
      const AttentionState total = run.state(unit, memory);
      run.clear(total);
      for (int64_t p = 0; p < run.range(unit).parts; ++p) {
        kernels.merge(run.state(unit, states + (i * plan.most_parts + p) * run.state_floats()),
                      total, shape.live.v_width());
      }
      run.finish(unit, total);
    }
  });
}

}  // namespace dbsa::cpu
