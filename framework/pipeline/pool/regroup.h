// How a pool changes when its demonstrations do: assignments are kept, so that an edit re-encodes
// as little as the mask allows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipeline/pool/pool.h"

namespace dbsa {

struct Assignment {
  // The old blocks, in order, as indices of the new demonstrations; emptied blocks are left out.
  std::vector<std::vector<int64_t>> kept;
  std::vector<int64_t> sources;  // [kept] the old block
  // New demonstrations that stand in no old block: the grouper deals them into new ones.
  std::vector<int64_t> fresh;
  std::vector<int64_t> edited;  // new demonstrations that took the place of an old one
  int64_t removed = 0;          // old ones whose place nothing took
};

// Demonstrations are told by content. One that is unchanged keeps its place wherever it moved in
// the file. Those that vanished and those that are new are paired in file order: a pair is an edit
// and takes the old one's place. New ones left over are growth; old ones left over are removed.
// An empty `old` makes all of them fresh. Cost: O(n) expected.
Assignment keep_assignment(const Pool& old, std::span<const std::string> hashes);

}  // namespace dbsa
