#include "plan.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace dbsa::cpu {
namespace {

// Cuts the segments of a range into pieces and parts.
void add_parts(const dbsa_row_range& r, dbsa_plan& plan) {
  Range range = {r.first_row,
                 r.rows,
                 static_cast<int64_t>(plan.parts.size()),
                 0,
                 static_cast<int64_t>(plan.pieces.size()),
                 0};
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
  range.pieces = static_cast<int64_t>(plan.pieces.size()) - range.first_piece;
  plan.most_parts = std::max(plan.most_parts, range.parts);
  plan.ranges.push_back(range);
}

// Pieces that stand at the beginning of a list, and their tokens.
struct Beginning {
  int64_t pieces = 0;
  int64_t tokens = 0;
};

bool same_segment(const dbsa_segment& a, const dbsa_segment& b) {
  return a.kv == b.kv && a.kind == b.kind && a.first_token == b.first_token &&
         a.length == b.length && a.start == b.start && a.window == b.window;
}

// What both ranges begin with, at most `most` pieces. The same pieces lie in the same parts.
Beginning common_beginning(const dbsa_plan& plan, const Range& a, const Range& b, int64_t most) {
  Beginning common;
  for (; common.pieces < std::min({most, a.pieces, b.pieces}); ++common.pieces) {
    const Piece& x = plan.pieces[static_cast<size_t>(a.first_piece + common.pieces)];
    const Piece& y = plan.pieces[static_cast<size_t>(b.first_piece + common.pieces)];
    if (x.begin != y.begin || x.end != y.end ||
        !same_segment(plan.segments[static_cast<size_t>(x.segment)],
                      plan.segments[static_cast<size_t>(y.segment)]))
      break;
    common.tokens += x.end - x.begin;
  }
  return common;
}

// Rows of one range in tiles of about the same size, `most` at most.
void split_range(int64_t index, int64_t group, int64_t most, dbsa_plan& plan) {
  const Range& range = plan.ranges[static_cast<size_t>(index)];
  const int64_t tiles = (range.rows + most - 1) / most;
  // Whole groups of 16 rows and heads, where there are as many: what tiles of AMX hold.
  const int64_t whole = kGroup / std::gcd(kGroup, group);
  int64_t each = (range.rows + tiles - 1) / tiles;
  if (each > whole) each = (each + whole - 1) / whole * whole;
  for (int64_t row = 0; row < range.rows; row += each) {
    plan.tiles.push_back({range.first_row + row, std::min(each, range.rows - row), index, 1,
                          range.pieces, range.parts});
  }
}

void add_tiles(int64_t group, dbsa_plan& plan) {
  const int64_t most = std::max<int64_t>(1, kMergedRows / group);
  const auto count = static_cast<int64_t>(plan.ranges.size());
  for (int64_t first = 0; first < count;) {
    const Range& lead = plan.ranges[static_cast<size_t>(first)];
    Tile tile = {lead.first_row, lead.rows, first, 1, lead.pieces, lead.parts};
    int64_t shared = common_beginning(plan, lead, lead, lead.pieces).tokens;
    for (int64_t i = first + 1; i < count; ++i) {
      const Range& next = plan.ranges[static_cast<size_t>(i)];
      if (tile.rows + next.rows > most) break;
      const Beginning common = common_beginning(plan, lead, next, tile.shared_pieces);
      // What is read for each range so far that was shared before must be less than what is not
      // read for the next one.
      if (common.tokens == 0 || tile.ranges * (shared - common.tokens) >= shared) break;
      tile.rows += next.rows;
      ++tile.ranges;
      tile.shared_pieces = common.pieces;
      tile.parts = std::max(tile.parts, next.parts);
      shared = common.tokens;
    }
    if (tile.ranges == 1) {
      split_range(first, group, most, plan);
    } else {
      plan.tiles.push_back(tile);
    }
    first += tile.ranges;
  }
  for (const Tile& tile : plan.tiles) plan.tile_rows = std::max(plan.tile_rows, tile.rows * group);
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
    attention_plan::add_distances(plan->positions.data() + range.first_row, range.rows,
                                  plan->segments.data() + range.first_segment, range.segment_count,
                                  distances);
  }
  add_tiles(shape.group, *plan);
  plan->rotations = Rotations::make(std::move(distances), shape.inv_freq);
  return plan;
}

}  // namespace dbsa::cpu
