// Scores of whole labels, from which their probabilities are made (decoding.scorer). S(l) is the
// log-likelihood of label l behind the query, as LikelihoodTree has it:
//
//   sum          s(l) = S(l)
//   per_token    s(l) = S(l) / tokens whose probabilities are in S(l), the terminator included
//   per_byte     s(l) = S(l) / bytes of the label's text in UTF-8
//   pmi          s(l) = S(l) - S0(l), S0 behind an empty query
//   contextual   s(l) = S(l) - log mean over content-free queries i of P_i(l)
//   batch        s(l) = S(l) - log mean over held-out queries j of P_j(l)
//
//   P(l) = exp(s(l) / T) / sum over the labels l' of exp(s(l') / T), T being the temperature
//
// P_i and P_j are made of S at T = 1. An empty or content-free query stands behind the same blocks
// as the query. per_byte is the acc_norm of common evaluation harnesses, pmi the domain-conditional
// one of Holtzman et al. 2021 (arXiv 2104.08315), contextual is Zhao et al. 2021 (arXiv 2102.09690)
// and batch Zhou et al. 2023 (arXiv 2309.17249).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "icl/label_tokens.h"

namespace dbsa {

enum class LabelScorer { kSum, kPerToken, kPerByte, kPmi, kContextual, kBatch };

// Natural logarithms of the probabilities, which sum to one. scores: finite, at least one;
// temperature > 0.
std::vector<double> log_softmax(std::span<const double> scores, double temperature = 1);

// log mean P(l), [labels]. log_likelihoods: S of each query, at least one; each is made a
// distribution first.
std::vector<double> log_mean_probabilities(std::span<const std::vector<double>> log_likelihoods);

class LabelScoring {
 public:
  // names: texts of the labels.
  LabelScoring(LabelScorer scorer, std::span<const LabelTokens> tokens,
               std::span<const std::string> names);

  LabelScorer scorer() const { return scorer_; }

  // What scores() subtracts, from S behind the empty query (pmi), the content-free ones
  // (contextual) or the held-out ones (batch).
  std::vector<double> prior(std::span<const std::vector<double>> log_likelihoods) const;

  // s(l), [labels]. prior: [labels] under pmi, contextual and batch; not looked at by others.
  std::vector<double> scores(std::span<const double> log_likelihoods,
                             std::span<const double> prior) const;

 private:
  LabelScorer scorer_;
  std::vector<double> lengths_;  // [labels], under per_token and per_byte
};

}  // namespace dbsa
