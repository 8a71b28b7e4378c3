// Tokens found in the text before it is normalised and split: special tokens and others that were
// added to the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_range.h"

namespace dbsa {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool normalized = false;   // looked for in the normalised text, in its own normalised form
  bool special = false;      // skipped by decode
};

// One part of a text: an added token, or text between them.
struct AddedSplit {
  int32_t id = -1;  // -1: text
  size_t begin = 0;
  size_t end = 0;
};

// Finds a set of tokens in a text: leftmost first, the longest where several start.
class AddedTokenMatcher {
 public:
  // `patterns[i]` is looked for and stands for `tokens[i]`. Where two patterns are equal the first
  // one counts. No pattern may be empty.
  AddedTokenMatcher(std::vector<AddedToken> tokens, std::vector<std::string> patterns);

  // Appends the parts of `text` in order. parse_special = false reads special tokens as text, and
  // so do the ranges `plain`.
  void split(std::string_view text, bool parse_special, std::vector<AddedSplit>& parts,
             std::span<const ByteRange> plain = {}) const;

  bool empty() const { return order_.empty(); }

 private:
  struct Match {
    size_t token;
    size_t begin;
    size_t end;
  };
  void find(std::string_view text, std::span<const ByteRange> plain,
            std::vector<Match>& matches) const;

  std::vector<AddedToken> tokens_;
  std::vector<std::string> patterns_;
  std::vector<size_t> order_;  // indices sorted by pattern
  std::vector<bool> starts_;   // by byte: some pattern starts with it
};

}  // namespace dbsa
