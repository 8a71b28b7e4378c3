// A walk down a label trie by given tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "icl/label_trie.h"

namespace dbsa::testing {

// The label that exactly these tokens spell, or -1.
inline int32_t label_at(const LabelTrie& trie, std::span<const int32_t> tokens) {
  int32_t at = 0;
  for (const int32_t token : tokens) {
    const auto below = trie.children(at);
    const auto found = std::find_if(below.begin(), below.end(),
                                    [&](int32_t n) { return trie.node(n).token == token; });
    if (found == below.end()) return -1;
    at = *found;
  }
  return trie.node(at).label;
}

}  // namespace dbsa::testing
