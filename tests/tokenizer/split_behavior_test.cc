#include "model/tokenizer/split_behavior.h"

#include <dbsa/sdk/random.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace dbsa {
namespace {

using Spans = std::vector<ByteSpan>;

Spans streamed(size_t size, const Spans& matches, SplitBehavior behavior, bool invert) {
  Spans pieces;
  const auto take = [&](ByteSpan span) -> Status {
    pieces.push_back(span);
    return {};
  };
  Splitter splitter(behavior, invert, take);
  for (const ByteSpan& match : matches) EXPECT_TRUE(splitter.match(match).ok());
  EXPECT_TRUE(splitter.finish(size).ok());
  return pieces;
}

// The same with a list of all parts, as the reference does it.
Spans listed(size_t size, const Spans& matches, SplitBehavior behavior, bool invert) {
  struct Part {
    ByteSpan span;
    bool match;
  };
  std::vector<Part> parts;
  size_t done = 0;
  for (const ByteSpan& match : matches) {
    if (done < match.first) parts.push_back({{done, match.first}, invert});
    parts.push_back({match, !invert});
    done = match.second;
  }
  if (done < size) parts.push_back({{done, size}, invert});
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  Spans out;
  bool previous = false;
  for (const Part& part : parts) {
    if (behavior == SplitBehavior::kRemoved && part.match) continue;
    const bool merges = behavior == SplitBehavior::kMergedWithPrevious || backwards;
    const bool join = merges ? part.match && !previous
                             : behavior == SplitBehavior::kContiguous && part.match == previous;
    previous = part.match;
    if (!join || out.empty())
      out.push_back(part.span);
    else if (backwards)
      out.back().first = part.span.first;
    else
      out.back().second = part.span.second;
  }
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

TEST(Splitter, EqualsTheListOfAllParts) {
  const uint64_t seed = 20261128;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Spans matches;
    size_t at = random.below(3);
    const size_t count = random.below(6);
    for (size_t i = 0; i < count; ++i) {
      const size_t begin = at + random.below(3), end = begin + 1 + random.below(2);
      matches.emplace_back(begin, end);
      at = end;
    }
    const size_t size = at + random.below(3);
    for (const auto behavior :
         {SplitBehavior::kRemoved, SplitBehavior::kIsolated, SplitBehavior::kMergedWithPrevious,
          SplitBehavior::kMergedWithNext, SplitBehavior::kContiguous})
      for (const bool invert : {false, true})
        ASSERT_EQ(streamed(size, matches, behavior, invert),
                  listed(size, matches, behavior, invert))
            << "round " << round << " behavior " << static_cast<int>(behavior) << invert;
  }
}

}  // namespace
}  // namespace dbsa
