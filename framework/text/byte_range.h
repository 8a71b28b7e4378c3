// Bytes of a text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace dbsa {

struct ByteRange {
  size_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

// Whether begin ... end has a byte in one of the ranges, which ascend and do not overlap.
inline bool overlaps(std::span<const ByteRange> ranges, size_t begin, size_t end) {
  const auto first = std::partition_point(
      ranges.begin(), ranges.end(), [&](const ByteRange& range) { return range.end <= begin; });
  return first != ranges.end() && first->begin < end && first->begin < first->end;
}

}  // namespace dbsa
