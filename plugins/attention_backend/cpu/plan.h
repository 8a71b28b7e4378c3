// A checked plan, cut into the pieces of work that attention runs.
//
// What a row computes depends only on its own segments: its tokens are taken in plan order, in
// chunks of kChunk tokens that begin at multiples of kChunk of the KV object, and these in parts of
// kPartTokens or a little more. Within a part softmax runs on; parts are then merged in order. Rows
// are grouped into tiles for speed only. Pieces that no row of a range sees, as beyond a window,
// count when parts are cut and are left out then.
//
// A tile holds rows of one range, or of several that begin with the same segments, as the branches
// of a label tree and queries on the same blocks do. A step is what rows of a tile read together: a
// piece that all of their ranges have, or different ones of the same chunk, of which each row sees
// its own.
#pragma once

#include "kernels.h"
#include "objects.h"
#include "plugins/shared/attention_plan/check.h"
#include "rotation.h"

#include <dbsa/sdk/result.h>

#include <vector>

namespace dbsa::cpu {

constexpr int64_t kPartTokens = 1024;
constexpr int64_t kMergedRows = 96;  // of a tile of work: query rows times heads, about

struct Piece {  // tokens begin..end of one segment, indices in its KV object
  int64_t segment;
  int64_t begin;
  int64_t end;
  int64_t part;  // of its range
};

struct Range {
  int64_t first_row;
  int64_t rows;
  int64_t first_piece;
  int64_t pieces;
  int64_t parts;
};

// The piece with this index of each of the ranges, which together span tokens begin..end.
struct Step {
  int64_t piece;
  int64_t first_range;
  int64_t ranges;
  int64_t begin;
  int64_t end;
};

struct Part {
  int64_t first_step;
  int64_t steps;
};

struct Tile {
  int64_t first_row;
  int64_t rows;
  int64_t first_range;
  int64_t ranges;
  int64_t first_part;
  int64_t parts;
};

using attention_plan::shift;
using attention_plan::visible_tokens;

struct PlanShape {
  int64_t group;  // query heads of a KV head
  const std::vector<float>& inv_freq;
  const std::vector<float>& factor;  // or empty: 1
};

}  // namespace dbsa::cpu

struct dbsa_plan {
  int64_t rows = 0;
  int32_t type = 0;
  std::vector<int32_t> positions;
  std::vector<dbsa_segment> segments;
  std::vector<dbsa::cpu::Range> ranges;
  std::vector<dbsa::cpu::Piece> pieces;
  std::vector<dbsa::cpu::Tile> tiles;
  std::vector<dbsa::cpu::Part> parts;
  std::vector<dbsa::cpu::Step> steps;
  int64_t most_parts = 0;  // of a tile
  int64_t tile_rows = 0;   // the largest tile's rows times `group`
  dbsa::cpu::Rotations rotations;
};

namespace dbsa::cpu {

// kInvalidArgument with what is wrong where. Cost: rows and segments of each range, plus the
// rotations of the distances that occur.
Result<std::unique_ptr<dbsa_plan>> make_plan(const dbsa_plan_description& description,
                                             const PlanShape& shape);

}  // namespace dbsa::cpu
