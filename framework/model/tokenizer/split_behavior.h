// What becomes of the matches when a text is split: kept apart, dropped, or joined to a neighbour.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace dbsa {

using ByteSpan = std::pair<size_t, size_t>;  // first byte, byte past the end

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// By its name in tokenizer.json.
std::optional<SplitBehavior> split_behavior(std::string_view name);

// The pieces of a text of `size` bytes, given the matches in it (ordered, not overlapping, not
// empty). With `invert` the stretches between matches count as the matches. Pieces are not empty.
std::vector<ByteSpan> split_at(size_t size, const std::vector<ByteSpan>& matches,
                               SplitBehavior behavior, bool invert);

}  // namespace dbsa
