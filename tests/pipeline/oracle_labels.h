// What the oracle makes of a prompt and each of a pool's labels, one forward pass a label.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "pipeline/engine.h"
#include "pipeline/pool.h"
#include "tests/reference/oracle.h"

namespace dbsa {

// The prompt: pieces (stored blocks) and behind them the query, which sees all before it that
// `query_sees` names.
struct OraclePrompt {
  std::vector<std::vector<int32_t>> pieces;
  std::vector<int32_t> query;
  std::function<bool(size_t row_piece, size_t token_piece)> piece_sees;  // of earlier ones
  std::function<bool(size_t piece)> query_sees;
};

// Natural logarithm of the likelihood of `label` and one terminator token behind the prompt.
inline double oracle_log_likelihood(const reference::OracleModel& model, const OraclePrompt& prompt,
                                    const LabelTokens& label) {
  std::vector<int32_t> ids;
  std::vector<size_t> piece_of;
  const auto add = [&](const std::vector<int32_t>& tokens, size_t piece) {
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    piece_of.insert(piece_of.end(), tokens.size(), piece);
  };
  for (size_t i = 0; i < prompt.pieces.size(); ++i) add(prompt.pieces[i], i);
  const size_t own = prompt.pieces.size();
  add(prompt.query, own);
  const size_t query_end = ids.size();
  add(label.ids, own);
  if (!label.terminator.empty()) add({label.terminator.front()}, own);
  reference::Mask mask(ids.size() * ids.size(), 0);
  for (size_t row = 0; row < ids.size(); ++row)
    for (size_t token = 0; token <= row; ++token) {
      const size_t from = piece_of[row], to = piece_of[token];
      mask[row * ids.size() + token] =
          from == to || (from == own ? prompt.query_sees(to) : prompt.piece_sees(from, to));
    }
  const reference::Matrix logits =
      model.logits(ids, reference::plain_positions(static_cast<int64_t>(ids.size())), mask);
  const auto vocabulary = static_cast<size_t>(model.vocabulary());
  double sum = 0;
  for (size_t i = query_end; i < ids.size(); ++i) {
    const double* row = logits.data() + (i - 1) * vocabulary;
    double total = 0;
    for (size_t j = 0; j < vocabulary; ++j) total += std::exp(row[j]);
    sum += row[ids[i]] - std::log(total);
  }
  return sum;
}

// Natural logarithms of the labels' probabilities among them all.
inline std::vector<double> oracle_label_log_probabilities(const reference::OracleModel& model,
                                                          const OraclePrompt& prompt,
                                                          const std::vector<PoolLabel>& labels) {
  std::vector<double> scores;
  double sum = 0;
  for (const PoolLabel& label : labels) {
    scores.push_back(oracle_log_likelihood(model, prompt, label.tokens));
    sum += std::exp(scores.back());
  }
  for (double& score : scores) score -= std::log(sum);
  return scores;
}

// A label's score is a sum over its tokens, here 9 at most, of a logit less the logarithm of a sum
// of exponentials, which moves no further than the logits do. Those are of size 1 here, behind two
// layers of float32 sums of up to 176 terms: sqrt(176) * 2^-24 for each of some 15 matrices in a
// row, together 3e-6. Twice that for each token, and as much again for the sum over the labels.
inline constexpr double kLabelTolerance = 2 * 2 * 9 * 3e-6;

inline double worst_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) throw std::runtime_error("another number of labels");
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

}  // namespace dbsa
