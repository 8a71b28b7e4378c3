#include "plan.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

namespace dbsa::cpu {
namespace {

// What any row of a range sees of a segment lies in this. Whole where the segment has no window, so
// that nothing is looked for.
Interval seen_by_range(const dbsa_segment& segment, const dbsa_row_range& range,
                       const dbsa_plan& plan) {
  Interval seen{segment.first_token, segment.first_token + segment.length};
  if (segment.window == 0) return seen;
  std::swap(seen.begin, seen.end);
  for (int64_t row = range.first_row; row < range.first_row + range.rows; ++row) {
    const Interval tokens = visible_tokens(segment, plan.positions[static_cast<size_t>(row)]);
    if (tokens.begin >= tokens.end) continue;
    seen.begin = std::min(seen.begin, tokens.begin);
    seen.end = std::max(seen.end, tokens.end);
  }
  return seen;
}

// Cuts the segments of a range into pieces and parts.
void add_range(const dbsa_row_range& r, dbsa_plan& plan) {
  Range range = {r.first_row, r.rows, static_cast<int64_t>(plan.pieces.size()), 0, 0};
  int64_t taken = kPartTokens;  // by the open part; full, so that the first piece opens one
  for (int64_t s = r.first_segment; s < r.first_segment + r.segment_count; ++s) {
    const dbsa_segment& segment = plan.segments[static_cast<size_t>(s)];
    const int64_t end = segment.first_token + segment.length;
    const Interval seen = seen_by_range(segment, r, plan);
    for (int64_t begin = segment.first_token; begin < end;) {
      const int64_t stop = std::min(end, begin / kPartTokens * kPartTokens + kPartTokens);
      if (taken >= kPartTokens) {
        ++range.parts;
        taken = 0;
      }
      if (begin < seen.end && seen.begin < stop)
        plan.pieces.push_back({s, begin, stop, range.parts - 1});
      taken += stop - begin;
      begin = stop;
    }
  }
  range.pieces = static_cast<int64_t>(plan.pieces.size()) - range.first_piece;
  plan.ranges.push_back(range);
}

// The distances at which rows of a range meet the segments that they see something of.
void add_distances(const dbsa_row_range& range, const dbsa_plan& plan,
                   std::vector<Interval>& distances) {
  const int32_t* positions = plan.positions.data() + range.first_row;
  const dbsa_segment* segments = plan.segments.data() + range.first_segment;
  const auto has_window = [](const dbsa_segment& segment) { return segment.window > 0; };
  if (std::none_of(segments, segments + range.segment_count, has_window)) {
    attention_plan::add_distances(positions, range.rows, segments, range.segment_count, distances);
    return;
  }
  for (int64_t s = 0; s < range.segment_count; ++s) {
    const Interval seen = seen_by_range(segments[s], range, plan);
    if (seen.begin < seen.end)
      attention_plan::add_distances(positions, range.rows, segments + s, 1, distances);
  }
}

const Piece& piece_of(const dbsa_plan& plan, const Range& range, int64_t index) {
  return plan.pieces[static_cast<size_t>(range.first_piece + index)];
}

bool same_piece(const dbsa_plan& plan, const Piece& x, const Piece& y) {
  const dbsa_segment& a = plan.segments[static_cast<size_t>(x.segment)];
  const dbsa_segment& b = plan.segments[static_cast<size_t>(y.segment)];
  return x.begin == y.begin && x.end == y.end && a.kv == b.kv && a.kind == b.kind &&
         a.first_token == b.first_token && a.length == b.length && a.start == b.start &&
         a.window == b.window;
}

// Whether the tokens lie in one chunk of one KV object.
bool same_chunk(const dbsa_plan& plan, const Piece& x, const Piece& y) {
  const int64_t chunk = x.begin / kChunk;
  return plan.segments[static_cast<size_t>(x.segment)].kv ==
             plan.segments[static_cast<size_t>(y.segment)].kv &&
         y.begin / kChunk == chunk && (x.end - 1) / kChunk == chunk &&
         (y.end - 1) / kChunk == chunk;
}

// Whether a range begins with what the one before it begins with, for more than half of its tokens.
bool begins_alike(const dbsa_plan& plan, const Range& before, const Range& range) {
  int64_t all = 0;
  int64_t common = 0;
  bool alike = true;
  for (int64_t i = 0; i < range.pieces; ++i) {
    const Piece& piece = piece_of(plan, range, i);
    alike = alike && i < before.pieces && same_piece(plan, piece, piece_of(plan, before, i));
    all += piece.end - piece.begin;
    common += alike ? piece.end - piece.begin : 0;
  }
  return 2 * common > all;
}

// Steps over the pieces with one index, of ranges first..last - 1, that lie in a part of them.
void add_steps(int64_t piece, int64_t part, int64_t first, int64_t last, dbsa_plan& plan) {
  const Piece* before = nullptr;  // of the range before; null: it has none here
  for (int64_t i = first; i < last; ++i) {
    const Range& range = plan.ranges[static_cast<size_t>(i)];
    const bool here = piece < range.pieces && piece_of(plan, range, piece).part == part;
    if (!here) {
      before = nullptr;
      continue;
    }
    const Piece& own = piece_of(plan, range, piece);
    if (before != nullptr && (same_piece(plan, *before, own) || same_chunk(plan, *before, own))) {
      Step& step = plan.steps.back();
      ++step.ranges;
      step.begin = std::min(step.begin, own.begin);
      step.end = std::max(step.end, own.end);
    } else {
      plan.steps.push_back({piece, i, 1, own.begin, own.end});
    }
    before = &own;
  }
}

// A tile of ranges first..last - 1, its rows still to be set. Where ranges part, a piece with one
// index may lie in different parts of them.
Tile make_tile(int64_t first, int64_t last, dbsa_plan& plan) {
  Tile tile = {0, 0, first, last - first, static_cast<int64_t>(plan.parts.size()), 0};
  int64_t pieces = 0;
  for (int64_t i = first; i < last; ++i) {
    const Range& range = plan.ranges[static_cast<size_t>(i)];
    tile.parts = std::max(tile.parts, range.parts);
    pieces = std::max(pieces, range.pieces);
  }
  for (int64_t part = 0; part < tile.parts; ++part) {
    const auto begin = static_cast<int64_t>(plan.steps.size());
    for (int64_t piece = 0; piece < pieces; ++piece) add_steps(piece, part, first, last, plan);
    plan.parts.push_back({begin, static_cast<int64_t>(plan.steps.size()) - begin});
  }
  plan.most_parts = std::max(plan.most_parts, tile.parts);
  return tile;
}

// Ranges that begin alike fill tiles; the last one continues in the next tile where it does not
// fit. Rows of another range are cut into tiles of about the same size.
void add_tiles(int64_t group, dbsa_plan& plan) {
  const int64_t most = std::max<int64_t>(1, kMergedRows / group);
  // Whole groups of 16 rows and heads, where there are as many: what tiles of AMX hold.
  const int64_t whole = kGroup / std::gcd(kGroup, group);
  const auto end_of = [&](int64_t i) {
    const Range& range = plan.ranges[static_cast<size_t>(i)];
    return range.first_row + range.rows;
  };
  int64_t first = 0;
  for (int64_t row = 0; row < plan.rows;) {
    while (end_of(first) <= row) ++first;
    int64_t last = first + 1;
    while (end_of(last - 1) < row + most && last < static_cast<int64_t>(plan.ranges.size()) &&
           begins_alike(plan, plan.ranges[static_cast<size_t>(last - 1)],
                        plan.ranges[static_cast<size_t>(last)]))
      ++last;
    Tile tile = make_tile(first, last, plan);
    const bool several = last - first > 1;
    const int64_t end = several ? std::min(row + most, end_of(last - 1)) : end_of(first);
    const int64_t tiles = (end - row + most - 1) / most;
    int64_t each = (end - row + tiles - 1) / tiles;
    if (!several && each > whole) each = (each + whole - 1) / whole * whole;
    for (; row < end; row += tile.rows) {
      tile.first_row = row;
      tile.rows = std::min(each, end - row);
      plan.tiles.push_back(tile);
      plan.tile_rows = std::max(plan.tile_rows, tile.rows * group);
    }
  }
}

}  // namespace

Result<std::unique_ptr<dbsa_plan>> make_plan(const dbsa_plan_description& description,
                                             const PlanShape& shape) {
  DBSA_RETURN_IF_ERROR(
      attention_plan::check_plan(description, [](const dbsa_kv* kv) { return kv->tokens; }));
  auto plan = std::make_unique<dbsa_plan>();
  plan->rows = description.rows;
  plan->type = description.type;
  plan->positions.assign(description.positions, description.positions + description.rows);
  plan->segments.assign(description.segments, description.segments + description.segment_count);
  std::vector<Interval> distances;
  for (int64_t i = 0; i < description.range_count; ++i) {
    const dbsa_row_range& range = description.ranges[i];
    add_range(range, *plan);
    add_distances(range, *plan, distances);
  }
  add_tiles(shape.group, *plan);
  plan->rotations = Rotations::make(std::move(distances), shape.inv_freq, shape.factor);
  return plan;
}

}  // namespace dbsa::cpu
