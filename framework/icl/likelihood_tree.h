// LikelihoodTree: all labels in full, as one tree of tokens behind the query, so that a single pass
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

#include "icl/label_reading.h"
#include "icl/label_tokens.h"
#include "icl/tree_token.h"

namespace dbsa {

class LikelihoodTree {
 public:
  explicit LikelihoodTree(std::span<const LabelTokens> labels);

  // Rows that a pass computes, depth first, parents before children: each token of a label that
  // another one follows.
  std::span<const TreeToken> rows() const { return rows_; }

  // Tokens that may follow a row, or the query (-1).
  std::span<const int32_t> next_tokens(int32_t row) const {
    return next_[static_cast<size_t>(row) + 1].tokens;
  }
  // Takes their log-probabilities, natural logarithms, among the whole vocabulary. kRun where one
  // is not finite.
  Status supply(int32_t row, std::span<const double> log_probabilities,
                std::vector<double>& edges) const;
  // For supply: a place for each branch, all to be filled.
  std::vector<double> make_edges() const { return std::vector<double>(edge_tokens_.size(), 0.0); }

  // Natural logarithm of each label's likelihood, [labels], once every row was supplied.
  std::vector<double> log_likelihoods(std::span<const double> edges) const;

  // What a label's likelihood is the product of: its tokens and the terminator's. In their order,
  // the log-probabilities add up to log_likelihoods' bit for bit.
  std::vector<ReadToken> read_label(size_t label, std::span<const double> edges) const;

 private:
  struct Next {
    std::vector<int32_t> tokens;
    std::vector<int32_t> edges;  // to each of them
  };
  int32_t edge_of(int32_t row, int32_t token);

  std::vector<TreeToken> rows_;
  std::vector<Next> next_;                   // [1 + rows]: what may follow; the query first
  std::vector<std::vector<int32_t>> paths_;  // of each label: its edges
  std::vector<int32_t> edge_tokens_;         // [edges] the token that each leads to
};

}  // namespace dbsa
