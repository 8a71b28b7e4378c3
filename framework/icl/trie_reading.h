// TrieReading: what a walk over a LabelTrie has seen of each label.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "icl/label_reading.h"
#include "icl/label_trie.h"

namespace dbsa {

class TrieReading {
 public:
  explicit TrieReading(const LabelTrie& trie);  // which must outlive it

  // As the walks' supply, of a branching node.
  Status supply(int32_t node, std::span<const double> scores);

  bool is_scored(int32_t node) const { return scored_[static_cast<size_t>(node)]; }
  // Branching nodes on the way to a label that were not supplied, ascending.
  std::vector<int32_t> missing(int32_t label) const;

  // A token's log-probability is among the tokens that may stand in its place, 0 where it is the
  // only one. Sums are taken from the root down, as the walks take them: the same bits.
  LabelReading read(int32_t label) const;

 private:
  std::vector<int32_t> way_to(int32_t label) const;  // nodes, the root left out

  const LabelTrie* trie_;
  std::vector<int32_t> leaves_;          // [labels]
  std::vector<bool> scored_;             // [nodes]
  std::vector<double> log_probability_;  // [nodes] of each among its parent's children
};

}  // namespace dbsa
