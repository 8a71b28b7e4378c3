#include "plan.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace dbsa::cpu {
namespace {

// Cuts the segments of a range into pieces and parts.
void add_parts(const dbsa_row_range& r, dbsa_plan& plan) {
  Range range{static_cast<int64_t>(plan.parts.size()), 0};
  int64_t taken = kPartTokens;  // by the open part; full, so that the first piece opens one
  for (int64_t s = r.first_segment; s < r.first_segment + r.segment_count; ++s) {
    const dbsa_segment& segment = plan.segments[static_cast<size_t>(s)];
    const int64_t end = segment.first_token + segment.length;
    for (int64_t begin = segment.first_token; begin < end;) {
      const int64_t stop = std::min(end, begin / kPartTokens * kPartTokens + kPartTokens);
      if (taken >= kPartTokens) {
        plan.parts.push_back({static_cast<int64_t>(plan.pieces.size()), 0});
        ++range.parts;
        taken = 0;
      }
      plan.pieces.push_back({s, begin, stop});
      ++plan.parts.back().pieces;
      taken += stop - begin;
      begin = stop;
    }
  }
  plan.most_parts = std::max(plan.most_parts, range.parts);
  plan.ranges.push_back(range);
}

// Of the range that was added last.
void add_tiles(const dbsa_row_range& r, int64_t index, int64_t group, dbsa_plan& plan) {
  const int64_t most = std::max<int64_t>(1, kMergedRows / group);
  const int64_t tiles = (r.rows + most - 1) / most;
  // Whole groups of 16 rows and heads, where there are as many: what tiles of AMX hold.
  const int64_t whole = kGroup / std::gcd(kGroup, group);
  int64_t each = (r.rows + tiles - 1) / tiles;
  if (each > whole) each = (each + whole - 1) / whole * whole;
  for (int64_t row = 0; row < r.rows; row += each) {
    const int64_t rows = std::min(each, r.rows - row);
    plan.tiles.push_back({index, r.first_row + row, rows});
    plan.tile_rows = std::max(plan.tile_rows, rows * group);
  }
}

}  // namespace

Result<std::unique_ptr<dbsa_plan>> make_plan(const dbsa_plan_description& description,
                                             const PlanShape& shape) {
  DBSA_RETURN_IF_ERROR(
      attention_plan::check_plan(description, [](const dbsa_kv* kv) { return kv->tokens; }));
  auto plan = std::make_unique<dbsa_plan>();
  plan->rows = description.rows;
  plan->positions.assign(description.positions, description.positions + description.rows);
  plan->segments.assign(description.segments, description.segments + description.segment_count);
  std::vector<Interval> distances;
  for (int64_t i = 0; i < description.range_count; ++i) {
    const dbsa_row_range& range = description.ranges[i];
    add_parts(range, *plan);
    add_tiles(range, i, shape.group, *plan);
    attention_plan::add_distances(plan->positions.data() + range.first_row, range.rows,
                                  plan->segments.data() + range.first_segment, range.segment_count,
                                  distances);
  }
  plan->rotations = Rotations::make(std::move(distances), shape.inv_freq);
  return plan;
}

}  // namespace dbsa::cpu
