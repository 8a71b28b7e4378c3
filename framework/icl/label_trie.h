// LabelTrie: the token sequences of all labels as a tree, so that decoding cannot leave them.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "icl/label_tokens.h"

namespace dbsa {

// Nodes are numbered depth first; node 0 is the root: the query's last token. Every label ends in
// its own leaf: one whose ids begin another's is closed by its terminator, by as many of its tokens
// as it takes. Other labels have no terminator, since nothing else could follow.
class LabelTrie {
 public:
  struct Node {
    int32_t token = -1;  // -1 for the root
    int32_t parent = -1;
    int32_t depth = 0;        // tokens from the root
    int32_t label = -1;       // of a leaf; -1 elsewhere
    int32_t min_label = 0;    // the least label of this subtree
    int32_t label_count = 0;  // of this subtree
    int32_t first_child = 0;  // in the list of children
    int32_t child_count = 0;
  };

  // tokens and names: one entry a label, at least one. kConfig naming both labels when two have the
  // same tokens or one cannot be closed.
  static Result<LabelTrie> build(std::span<const LabelTokens> tokens,
                                 std::span<const std::string> names);

  int32_t size() const { return static_cast<int32_t>(nodes_.size()); }
  // Nodes that are no leaves, the root aside: tokens that a pass may have to compute.
  int32_t inner_count() const { return size() - 1 - nodes_[0].label_count; }
  const Node& node(int32_t i) const { return nodes_[i]; }
  std::span<const Node> nodes() const { return nodes_; }

  // Ordered by the least label under each.
  std::span<const int32_t> children(int32_t i) const {
    return std::span(children_).subspan(nodes_[i].first_child, nodes_[i].child_count);
  }
  // Two children or more: where scores are needed. A single child costs no look at them.
  bool is_branching(int32_t i) const { return nodes_[i].child_count > 1; }

  // The first node at or below i that is no single-child node: branching, or a leaf.
  int32_t descend(int32_t i) const;

  // Tokens from the root, exclusive, to node i, inclusive.
  std::vector<int32_t> path(int32_t i) const;

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> children_;
};

}  // namespace dbsa
