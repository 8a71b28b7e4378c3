#include "model/tokenizer/split_behavior.h"

#include <algorithm>

namespace dbsa {
namespace {

struct Part {
  ByteSpan span;
  bool match;
};

std::vector<Part> cover(size_t size, const std::vector<ByteSpan>& matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(matches.size() * 2 + 1);
  size_t done = 0;
  for (const ByteSpan& match : matches) {
    if (done < match.first) parts.push_back({{done, match.first}, invert});
    parts.push_back({match, !invert});
    done = match.second;
  }
  if (done < size) parts.push_back({{done, size}, invert});
  return parts;
}

}  // namespace

std::optional<SplitBehavior> split_behavior(std::string_view name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return std::nullopt;
}

std::vector<ByteSpan> split_at(size_t size, const std::vector<ByteSpan>& matches,
                               SplitBehavior behavior, bool invert) {
  std::vector<Part> parts = cover(size, matches, invert);
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  std::vector<ByteSpan> out;
  out.reserve(parts.size());
  bool previous = false;
  for (const Part& part : parts) {
    bool join = false;
    switch (behavior) {
      case SplitBehavior::kRemoved:
        if (part.match) continue;
        break;
      case SplitBehavior::kIsolated:
        break;
      case SplitBehavior::kMergedWithPrevious:
      case SplitBehavior::kMergedWithNext:
        join = part.match && !previous;
        break;
      case SplitBehavior::kContiguous:
        join = part.match == previous;
        break;
    }
    previous = part.match;
    if (!join || out.empty()) {
      out.push_back(part.span);
    } else if (backwards) {
      out.back().first = part.span.first;
    } else {
      out.back().second = part.span.second;
    }
  }
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace dbsa
