#include "model/tokenizer/added_tokens.h"

#include <algorithm>
#include <numeric>

#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// First byte of the character that ends before `pos` (> 0).
size_t previous(std::string_view text, size_t pos) {
  do {
    --pos;
  } while ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  return pos;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t pos = previous(text, text.size());
  return is_word_character(utf8::next(text, pos));
}

bool starts_with_word(std::string_view text) {
  size_t pos = 0;
  return !text.empty() && is_word_character(utf8::next(text, pos));
}

size_t skip_space(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t next = pos;
    if (!utf8::is_white_space(utf8::next(text, next))) break;
    pos = next;
  }
  return pos;
}

size_t skip_space_back(std::string_view text, size_t pos, size_t limit) {
  while (pos > limit) {
    const size_t before = previous(text, pos);
    size_t at = before;
    if (!utf8::is_white_space(utf8::next(text, at))) break;
    pos = before;
  }
  return std::max(pos, limit);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens,
                                     std::vector<std::string> patterns)
    : tokens_(std::move(tokens)),
      patterns_(std::move(patterns)),
      order_(tokens_.size()),
      starts_(256) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](size_t a, size_t b) { return patterns_[a] < patterns_[b]; });
  order_.erase(std::unique(order_.begin(), order_.end(),
                           [&](size_t a, size_t b) { return patterns_[a] == patterns_[b]; }),
               order_.end());
  for (const std::string& pattern : patterns_)
    starts_[static_cast<unsigned char>(pattern.front())] = true;
}

// At each position the sorted patterns are narrowed byte by byte to those that agree with the text;
// the first of a range is the one that ends there, if any does.
void AddedTokenMatcher::find(std::string_view text, std::span<const ByteRange> plain,
                             std::vector<Match>& matches) const {
  for (size_t begin = 0; begin < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) {
      ++begin;
      continue;
    }
    Match best = {0, begin, begin};
    auto low = order_.begin();
    auto high = order_.end();
    for (size_t length = 0; low != high;) {
      if (patterns_[*low].size() == length) {
        if (!tokens_[*low].special || !overlaps(plain, begin, begin + length))
          best = {*low, begin, begin + length};
        low = std::find_if(low, high, [&](size_t i) { return patterns_[i].size() > length; });
      }
      if (begin + length >= text.size()) break;
      const auto byte = static_cast<unsigned char>(text[begin + length]);
      const auto at = [&](size_t i) { return static_cast<unsigned char>(patterns_[i][length]); };
      low = std::partition_point(low, high, [&](size_t i) { return at(i) < byte; });
      high = std::partition_point(low, high, [&](size_t i) { return at(i) <= byte; });
      ++length;
    }
    if (best.end > begin) matches.push_back(best);
    begin = std::max(best.end, begin + 1);
  }
}

void AddedTokenMatcher::split(std::string_view text, bool parse_special,
                              std::vector<AddedSplit>& parts,
                              std::span<const ByteRange> plain) const {
  std::vector<Match> matches;
  if (!order_.empty()) find(text, plain, matches);
  size_t skipped = 0, skipped_to = 0;  // white space skipped last, so that a run is read once
  size_t done = 0;  // the end of the last token; may lie before that of an earlier one with rstrip
  for (auto [index, begin, end] : matches) {
    const AddedToken& token = tokens_[index];
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end))))
      continue;
    if (token.lstrip) begin = std::max(skip_space_back(text, begin, std::min(done, begin)), done);
    if (token.rstrip) {
      if (end < skipped || end > skipped_to) {
        skipped = end;
        skipped_to = skip_space(text, end);
      }
      end = skipped_to;
    }
    if (done < begin) parts.push_back({-1, done, begin});
    parts.push_back({token.id, begin, end});
    done = end;
  }
  if (done != text.size()) parts.push_back({-1, done, text.size()});
}

}  // namespace dbsa
