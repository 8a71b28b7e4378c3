// LabelTree: all labels in full, as one tree of tokens behind the query, so that a single pass
// gives every label's likelihood.
//
// A label's likelihood is the product of the probabilities, among the whole vocabulary, of its
// tokens and of one terminator token behind them (none where the tokenizer leaves no terminator).
// It is not normalised by length.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <vector>

#include "icl/label_tokens.h"

namespace dbsa {

// A token behind the query, in a tree.
struct TreeToken {
  int32_t token = 0;
  int32_t parent = -1;  // row of the token before it; -1: the query's last token
  int32_t depth = 0;    // rows above it
};

class LabelTree {
 public:
  explicit LabelTree(std::span<const LabelTokens> labels);

  // Rows that a pass computes, depth first, parents before children: each token of a label that
  // another one follows.
  std::span<const TreeToken> rows() const { return rows_; }

  // Takes the [vocabulary] logits after a row, or after the query (-1). kRun where they are not
  // finite, kInvalidArgument where a token lies outside.
  Status supply(int32_t row, std::span<const float> logits, std::vector<double>& edges) const;
  // For supply: a place for each branch, all to be filled.
  std::vector<double> make_edges() const { return std::vector<double>(edges_, 0.0); }

  // Natural logarithm of each label's likelihood, [labels], once every row was supplied.
  std::vector<double> log_likelihoods(std::span<const double> edges) const;

 private:
  struct Next {
    int32_t token;
    int32_t edge;
  };
  int32_t edge_of(int32_t row, int32_t token);

  std::vector<TreeToken> rows_;
  std::vector<std::vector<Next>> next_;      // [1 + rows]: what may follow; the query first
  std::vector<std::vector<int32_t>> paths_;  // of each label: its edges
  size_t edges_ = 0;
};

}  // namespace dbsa
