// Sliding windows: the row at position i of a layer with window w sees the token at position j iff
// 0 <= i - j < w. Tokens that no row of a layer sees need not be loaded for it.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config/model_spec.h"

namespace dbsa {

using LayerSet = std::vector<bool>;  // [layers]: whether each is in the set

// Whether rows at first_row and later may see a token at last_token or before it, in a layer with
// this window; 0: without one. Only positions decide, in any order of the blocks.
inline bool window_reaches(int64_t window, int64_t first_row, int64_t last_token) {
  return window == 0 || first_row - last_token < window;
}

// The layers of a model for which that is so.
LayerSet layers_reaching(const ModelSpec& spec, int64_t first_row, int64_t last_token);

}  // namespace dbsa
