// What becomes of the matches when a text is split: kept apart, dropped, or joined to a neighbour.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace dbsa {

using ByteSpan = std::pair<size_t, size_t>;  // first byte, byte past the end

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// By its name in tokenizer.json.
std::optional<SplitBehavior> split_behavior(std::string_view name);

// Turns the matches in a text, one after the other, into pieces, which go to `sink`, a callable
// Status(ByteSpan), as soon as their ends are known. With `invert` the stretches between matches
// count as the matches. Pieces are not empty. No memory, for any number of matches.
template <typename Sink>
class Splitter {
 public:
  Splitter(SplitBehavior behavior, bool invert, const Sink& sink)
      : behavior_(behavior), invert_(invert), sink_(sink) {}

  // The next match: behind the one before, not empty.
  Status match(ByteSpan span) {
    if (done_ < span.first) DBSA_RETURN_IF_ERROR(part({done_, span.first}, invert_));
    done_ = span.second;
    return part(span, !invert_);
  }

  // After the last match of a text of `size` bytes.
  Status finish(size_t size) {
    if (done_ < size) DBSA_RETURN_IF_ERROR(part({done_, size}, invert_));
    return flush();
  }

 private:
  Status part(ByteSpan span, bool is_match) {
    switch (behavior_) {
      case SplitBehavior::kRemoved:
        return is_match ? Status() : sink_(span);
      case SplitBehavior::kIsolated:
        return sink_(span);
      case SplitBehavior::kMergedWithPrevious:  // a match joins what is no match
        return join(span, is_match, is_match && pending_ && !pending_match_);
      case SplitBehavior::kMergedWithNext:
        return join(span, is_match, !is_match && pending_ && pending_match_);
      case SplitBehavior::kContiguous:
        return join(span, is_match, pending_ && is_match == pending_match_);
    }
    return {};
  }

  Status join(ByteSpan span, bool is_match, bool joins) {
    if (!joins) DBSA_RETURN_IF_ERROR(flush());
    pending_ = ByteSpan{joins ? pending_->first : span.first, span.second};
    pending_match_ = is_match;
    return {};
  }

  Status flush() {
    if (!pending_) return {};
    const ByteSpan span = *pending_;
    pending_.reset();
    return sink_(span);
  }

  SplitBehavior behavior_;
  bool invert_;
  const Sink& sink_;
  size_t done_ = 0;
  std::optional<ByteSpan> pending_;  // may still be joined by what follows
  bool pending_match_ = false;
};

}  // namespace dbsa
