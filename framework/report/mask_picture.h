// A picture of an attention mask over a pool: which tokens the rows of each block see while it is
// encoded, and which blocks a query sees (Fig. 5 of arXiv 2503.08640).
#pragma once

#include <dbsa/sdk/mask_pattern.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dbsa {

struct MaskPicture {
  std::vector<int64_t> block_lengths;         // tokens
  std::vector<std::vector<Visible>> visible;  // for each block, as MaskPattern::visible gives it
  int64_t anchor_blocks = 0;                  // the first blocks, shown as such

  // One query's row below the pool.
  struct Answer {
    std::vector<int64_t> blocks;  // selected
    int64_t query_tokens = 0;
  };
  std::optional<Answer> answer;
};

// An SVG document without anything outside it, scaled by its viewBox, light or dark as the reader's
// system is: rows are queries, columns
// keys, both as long as their blocks. Segments of blocks that are not there are left out. Cost: a
// shape for each segment, less where neighbours join.
std::string mask_svg(const MaskPicture& picture);

// Distances of WINDOW segments are those of packed positions: what a block sees laid end to end
// before it.

}  // namespace dbsa
