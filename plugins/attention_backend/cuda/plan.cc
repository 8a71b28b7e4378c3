#include "plan.h"

#include "plugins/shared/attention_plan/check.h"
#include "plugins/shared/attention_plan/distances.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <unordered_map>

namespace dbsa::cuda {

using attention_plan::Distances;
using attention_plan::Interval;

namespace {

static_assert(kFullSegment == DBSA_SEGMENT_FULL && kWindowSegment == DBSA_SEGMENT_WINDOW);

constexpr uint64_t kAlignment = 256;

uint64_t aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct Cut {  // a piece on the host
  int64_t segment;
  int64_t begin;
  int64_t end;
};
using Cuts = std::span<const Cut>;  // of one part

// Appends the cuts of a range, and where its parts begin among them.
void cut_range(const dbsa_plan_description& d, const dbsa_row_range& range, std::vector<Cut>& cuts,
               std::vector<int64_t>& parts) {
  int64_t taken = kPartTokens;  // by the open part; full, so that the first piece opens one
  for (int64_t s = range.first_segment; s < range.first_segment + range.segment_count; ++s) {
    const dbsa_segment& segment = d.segments[s];
    const bool new_kv = s > range.first_segment && d.segments[s - 1].kv != segment.kv;
    if (new_kv && taken >= kPartLeast) taken = kPartTokens;
    const int64_t end = segment.first_token + segment.length;
    for (int64_t begin = segment.first_token; begin < end;) {
      const int64_t stop = std::min(end, begin / kPartTokens * kPartTokens + kPartTokens);
      if (taken >= kPartTokens) {
        parts.push_back(static_cast<int64_t>(cuts.size()));
        taken = 0;
      }
      cuts.push_back({s, begin, stop});
      taken += stop - begin;
      begin = stop;
    }
  }
}

}  // namespace

class PlanMaker {
 public:
  PlanMaker(const dbsa_plan_description& description, const PlanShape& shape)
      : d_(description), shape_(shape) {}

  Result<std::unique_ptr<Plan>> make() {
    number_distances();
    int64_t tiles = 0;
    for (int64_t r = 0; r < d_.range_count; ++r) {
      range_parts_.push_back(static_cast<int64_t>(part_cuts_.size()));
      cut_range(d_, d_.ranges[r], cuts_, part_cuts_);
      tiles += tiles_of(d_.ranges[r].rows);
    }
    range_parts_.push_back(static_cast<int64_t>(part_cuts_.size()));
    part_cuts_.push_back(static_cast<int64_t>(cuts_.size()));
    row_slots_.resize(static_cast<size_t>(d_.rows));
    const bool few = tiles * shape_.kv_heads < shape_.side_by_side;
    for (int64_t r = 0; r < d_.range_count;) {
      const Group group = group_from(r);
      if ((few && parts_of(r) > 1) || pays(group)) {
        add_split(group);
        r = group.end;
      } else {
        add_whole(r++);
      }
    }
    if (!encoded_) {
      return Error{ErrorCode::kRun, "plan: the device takes no map of a KV object", ""};
    }
    return pack();
  }

 private:
  struct Rows {
    int64_t first;
    int64_t count;
  };
  // Ranges that begin with the same parts.
  struct Group {
    int64_t first;
    int64_t end;
    int64_t common;  // parts
  };
  using ShiftRotations = std::unordered_map<int64_t, int64_t>;  // Piece::rotation of a shift

  int64_t tile_rows() const {
    return std::max<int64_t>(1, kTileRows / (shape_.query_heads / shape_.kv_heads));
  }
  int64_t tiles_of(int64_t rows) const { return (rows + tile_rows() - 1) / tile_rows(); }
  Cuts cuts(int64_t range, int64_t part) const {
    const auto at = static_cast<size_t>(range_parts_[static_cast<size_t>(range)] + part);
    return {cuts_.begin() + part_cuts_[at], cuts_.begin() + part_cuts_[at + 1]};
  }
  int64_t parts_of(int64_t range) const {
    const auto at = static_cast<size_t>(range);
    return range_parts_[at + 1] - range_parts_[at];
  }

  void number_distances() {
    std::vector<Interval> intervals;
    intervals.reserve(static_cast<size_t>(d_.segment_count));
    for (int64_t i = 0; i < d_.range_count; ++i) {
      const dbsa_row_range& range = d_.ranges[i];
      attention_plan::add_distances(d_.positions + range.first_row, range.rows,
                                    d_.segments + range.first_segment, range.segment_count,
                                    intervals);
    }
    distances_ = Distances::of(std::move(intervals));
  }

  int64_t rotation(const Rows& rows, int64_t shift, ShiftRotations& known) {
    const auto [found, added] =
        known.try_emplace(shift, static_cast<int64_t>(rotation_index_.size()) - rows.first);
    if (added) {
      for (int64_t r = rows.first; r < rows.first + rows.count; ++r) {
        rotation_index_.push_back(static_cast<int32_t>(distances_.index(d_.positions[r] - shift)));
      }
    }
    return found->second;
  }

  int32_t add_part(Cuts cuts, const Rows& rows, ShiftRotations& known) {
    parts_.push_back({static_cast<int32_t>(pieces_.size()), static_cast<int32_t>(cuts.size())});
    for (const Cut& cut : cuts) {
      const dbsa_segment& segment = d_.segments[cut.segment];
      const KvPlace place = shape_.kv_place(segment.kv);
      Piece piece = {};
      piece.keys = place.address;
      piece.head_bytes = place.padded_tokens * shape_.head_dim * shape_.kv_bytes;
      piece.values_bytes = shape_.kv_heads * piece.head_bytes;
      piece.layer_bytes = 2 * piece.values_bytes;
      piece.shift = attention_plan::shift(segment);
      piece.window = segment.window;
      piece.rotation = rotation(rows, piece.shift, known);
      piece.kind = segment.window > 0 ? kWindowSegment : segment.kind;
      piece.begin = static_cast<int32_t>(cut.begin);
      piece.end = static_cast<int32_t>(cut.end);
      piece.map = map(segment.kv, place);
      pieces_.push_back(piece);
    }
    return static_cast<int32_t>(parts_.size()) - 1;
  }

  int32_t map(const dbsa_kv* kv, const KvPlace& place) {
    if (shape_.encode_map == nullptr) return 0;
    const auto [found, added] = map_of_.try_emplace(kv, static_cast<int32_t>(maps_.size()));
    if (added) {
      maps_.emplace_back();
      const int64_t rows = shape_.layers * 2 * shape_.kv_heads * place.padded_tokens;
      encoded_ = shape_.encode_map(place, rows, shape_.head_dim, &maps_.back()) && encoded_;
    }
    return found->second;
  }

  void add_works(const Rows& rows, int32_t first_part, int64_t parts, int64_t slot) {
    const int64_t tiles = tiles_of(rows.count);
    const int64_t each = (rows.count + tiles - 1) / tiles;
    // Under a causal segment the last rows see most: they begin.
    for (int64_t row = (rows.count - 1) / each * each; row >= 0; row -= each) {
      works_.push_back({static_cast<int32_t>(rows.first + row),
                        static_cast<int32_t>(std::min(each, rows.count - row)), first_part,
                        static_cast<int32_t>(parts), slot < 0 ? -1 : slot + row});
    }
  }

  void add_whole(int64_t range) {
    const Rows rows{d_.ranges[range].first_row, d_.ranges[range].rows};
    ShiftRotations known;
    const auto first = static_cast<int32_t>(parts_.size());
    for (int64_t p = 0; p < parts_of(range); ++p) add_part(cuts(range, p), rows, known);
    add_works(rows, first, parts_of(range), -1);
  }

  // Whether every row sees the same of both.
  bool same(const Cut& a, const Cut& b) const {
    const dbsa_segment& x = d_.segments[a.segment];
    const dbsa_segment& y = d_.segments[b.segment];
    return x.kind == DBSA_SEGMENT_FULL && y.kind == DBSA_SEGMENT_FULL && x.window == 0 &&
           y.window == 0 && x.kv == y.kv && attention_plan::shift(x) == attention_plan::shift(y) &&
           a.begin == b.begin && a.end == b.end;
  }
  int64_t common_parts(int64_t a, int64_t b) const {
    const int64_t most = std::min(parts_of(a), parts_of(b));
    for (int64_t p = 0; p < most; ++p) {
      const Cuts x = cuts(a, p);
      const Cuts y = cuts(b, p);
      if (!std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](const Cut& i, const Cut& j) { return same(i, j); })) {
        return p;
      }
    }
    return most;
  }

  Group group_from(int64_t first) const {
    Group group{first, first + 1, parts_of(first)};
    for (; group.end < d_.range_count; ++group.end) {
      const int64_t common = common_parts(first, group.end);
      if (common == 0 || (group.end > first + 1 && common < group.common)) break;
      group.common = std::min(group.common, common);
    }
    return group;
  }

  int64_t tokens(int64_t range, int64_t first_part, int64_t last_part) const {
    int64_t sum = 0;
    for (int64_t p = first_part; p < last_part; ++p) {
      for (const Cut& cut : cuts(range, p)) sum += cut.end - cut.begin;
    }
    return sum;
  }

  // Whether running the common parts once saves a quarter of the work or more.
  bool pays(const Group& group) const {
    if (group.end == group.first + 1) return false;
    int64_t alone = 0, shared = 0, rows = 0;
    for (int64_t r = group.first; r < group.end; ++r) {
      const int64_t tiles = tiles_of(d_.ranges[r].rows);
      alone += tiles * tokens(r, 0, parts_of(r));
      shared += tiles * tokens(r, group.common, parts_of(r));
      rows += d_.ranges[r].rows;
    }
    shared += tiles_of(rows) * tokens(group.first, 0, group.common);
    return 4 * shared <= 3 * alone;
  }

  // Runs every part by itself, the common ones once for the rows of all ranges.
  void add_split(const Group& group) {
    const auto [first, end, common] = group;
    const auto first_slot = static_cast<int64_t>(slot_bases_.size());
    Rows all{d_.ranges[first].first_row, 0};
    for (int64_t r = first; r < end; ++r) all.count += d_.ranges[r].rows;
    ShiftRotations known;
    for (int64_t p = 0; p < common; ++p) add_slot(cuts(first, p), all, known);
    const std::vector<int64_t> shared(slot_bases_.begin() + first_slot, slot_bases_.end());
    for (int64_t r = first; r < end; ++r) {
      const Rows rows{d_.ranges[r].first_row, d_.ranges[r].rows};
      RowSlots slots{static_cast<int32_t>(first_slot), static_cast<int32_t>(parts_of(r))};
      if (parts_of(r) > common) {
        slots.first = static_cast<int32_t>(slot_bases_.size());
        slot_bases_.insert(slot_bases_.end(), shared.begin(), shared.end());
        ShiftRotations own;
        for (int64_t p = common; p < parts_of(r); ++p) {
          add_slot(cuts(r, p), rows, own);
        }
      }
      std::fill_n(row_slots_.begin() + rows.first, rows.count, slots);
    }
  }

  void add_slot(Cuts part, const Rows& rows, ShiftRotations& known) {
    add_works(rows, add_part(part, rows, known), 1, slots_);
    slot_bases_.push_back(slots_ - rows.first);
    slots_ += rows.count;
  }

  template <class T>
  uint64_t append(const T* values, int64_t count, std::vector<std::byte>& tables) const {
    const uint64_t at = tables.size();
    const uint64_t bytes = static_cast<uint64_t>(count) * sizeof(T);
    tables.resize(at + aligned(bytes));
    if (bytes > 0) std::memcpy(tables.data() + at, values, bytes);
    return at;
  }
  template <class T>
  uint64_t append(const std::vector<T>& values, std::vector<std::byte>& tables) const {
    return append(values.data(), static_cast<int64_t>(values.size()), tables);
  }

  std::unique_ptr<Plan> pack() const {
    std::vector<int64_t> distances;
    for (const Interval& run : distances_.runs()) {
      for (int64_t distance = run.begin; distance < run.end; ++distance) {
        distances.push_back(distance);
      }
    }
    auto plan = std::make_unique<Plan>();
    plan->rows_ = d_.rows;
    plan->works_ = static_cast<int64_t>(works_.size());
    plan->distances_ = distances_.count();
    plan->slots_ = slots_;
    plan->query_heads_ = shape_.query_heads;
    plan->head_dim_ = shape_.head_dim;
    std::vector<std::byte>& tables = plan->tables_;
    plan->at_.works = append(works_, tables);
    plan->at_.parts = append(parts_, tables);
    plan->at_.pieces = append(pieces_, tables);
    plan->at_.maps = append(maps_, tables);
    plan->at_.positions = append(d_.positions, d_.rows, tables);
    plan->at_.rotation_index = append(rotation_index_, tables);
    plan->at_.slots = append(slot_bases_, tables);
    plan->at_.row_slots = append(row_slots_, tables);
    plan->at_.distances = append(distances, tables);
    plan->at_.inv_freq = append(shape_.inv_freq, tables);
    return plan;
  }

  const dbsa_plan_description& d_;
  const PlanShape& shape_;
  Distances distances_;
  std::vector<Cut> cuts_;             // of all parts
  std::vector<int64_t> part_cuts_;    // where each part begins among them, and their end
  std::vector<int64_t> range_parts_;  // where each range begins among the parts, and their end
  std::vector<Work> works_;
  std::vector<Part> parts_;
  std::vector<Piece> pieces_;
  std::vector<TensorMap> maps_;
  std::unordered_map<const dbsa_kv*, int32_t> map_of_;
  bool encoded_ = true;
  std::vector<int32_t> rotation_index_;
  std::vector<int64_t> slot_bases_;
  std::vector<RowSlots> row_slots_;
  int64_t slots_ = 0;
};

Status check_plan(const dbsa_plan_description& description,
                  int64_t (*kv_tokens)(const dbsa_kv* kv)) {
  DBSA_RETURN_IF_ERROR(attention_plan::check_plan(description, kv_tokens));
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const auto fault = [](const std::string& what, int64_t count) {
    return Error{ErrorCode::kInvalidArgument,
                 "plan: " + what + " " + std::to_string(count) +
                     ", and the cuda backend counts to " + std::to_string(kMost),
                 ""};
  };
  if (description.rows > kMost) return fault("rows are", description.rows);
  for (int64_t s = 0; s < description.segment_count; ++s)
    if (const int64_t tokens = kv_tokens(description.segments[s].kv); tokens > kMost)
      return fault("segment " + std::to_string(s) + ": the tokens of its KV are", tokens);
  // The kernels know windows of tokens that are not behind their row.
  for (int64_t i = 0; i < description.range_count; ++i) {
    const dbsa_row_range& range = description.ranges[i];
    const int32_t* positions = description.positions + range.first_row;
    const int32_t first = *std::min_element(positions, positions + range.rows);
    for (int64_t s = range.first_segment; s < range.first_segment + range.segment_count; ++s) {
      const dbsa_segment& segment = description.segments[s];
      if (segment.kind == DBSA_SEGMENT_FULL && segment.window > 0 &&
          segment.start + segment.length - 1 > first)
        return Error{ErrorCode::kUnsupported,
                     "plan: segment " + std::to_string(s) +
                         ": the cuda backend computes FULL segments with a window only where their "
                         "tokens stand before the rows; use the cpu backend",
                     ""};
    }
  }
  return {};
}

Result<std::unique_ptr<Plan>> Plan::make(const dbsa_plan_description& description,
                                         const PlanShape& shape) {
  return PlanMaker(description, shape).make();
}

uint64_t Plan::device_bytes() const {
  return tables_.size() + static_cast<uint64_t>(distances_ * head_dim_) * sizeof(float);
}

DevicePlan Plan::place(void* device) const {
  auto* base = static_cast<std::byte*>(device);
  DevicePlan plan = {};
  plan.works = reinterpret_cast<const Work*>(base + at_.works);
  plan.parts = reinterpret_cast<const Part*>(base + at_.parts);
  plan.pieces = reinterpret_cast<const Piece*>(base + at_.pieces);
  plan.maps = reinterpret_cast<const TensorMap*>(base + at_.maps);
  plan.positions = reinterpret_cast<const int32_t*>(base + at_.positions);
  plan.rotation_index = reinterpret_cast<const int32_t*>(base + at_.rotation_index);
  plan.slots = reinterpret_cast<const int64_t*>(base + at_.slots);
  plan.row_slots = reinterpret_cast<const RowSlots*>(base + at_.row_slots);
  plan.distances = reinterpret_cast<const int64_t*>(base + at_.distances);
  plan.inv_freq = reinterpret_cast<const float*>(base + at_.inv_freq);
  plan.rotations = reinterpret_cast<float*>(base + tables_.size());
  plan.work_count = static_cast<int32_t>(works_);
  plan.rows = static_cast<int32_t>(rows_);
  plan.distance_count = distances_;
  plan.slot_count = slots_;
  return plan;
}

uint64_t Plan::scratch_bytes() const {
  return static_cast<uint64_t>(slots_ * query_heads_ * (head_dim_ + 2)) * sizeof(float);
}

}  // namespace dbsa::cuda
