// What the oracle makes of a prompt and each of a pool's labels, one forward pass a label.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "icl/label_trie.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/pipeline.h"
#include "pipeline/pool/pool.h"
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

// Logits of the prompt's last token and of each of `tokens` behind it.
struct OracleRows {
  reference::Matrix logits;
  size_t vocabulary;
  size_t first;  // row of the prompt's last token
  const double* after(size_t tokens) const { return logits.data() + (first + tokens) * vocabulary; }
};

inline OracleRows oracle_rows(const reference::OracleModel& model, const OraclePrompt& prompt,
                              const std::vector<int32_t>& tokens) {
  std::vector<int32_t> ids;
  std::vector<size_t> piece_of;
  const auto add = [&](const std::vector<int32_t>& more, size_t piece) {
    ids.insert(ids.end(), more.begin(), more.end());
    piece_of.insert(piece_of.end(), more.size(), piece);
  };
  for (size_t i = 0; i < prompt.pieces.size(); ++i) add(prompt.pieces[i], i);
  const size_t own = prompt.pieces.size();
  add(prompt.query, own);
  const size_t query_end = ids.size();
  add(tokens, own);
  reference::Mask mask(ids.size() * ids.size(), 0);
  for (size_t row = 0; row < ids.size(); ++row)
    for (size_t token = 0; token <= row; ++token) {
      const size_t from = piece_of[row], to = piece_of[token];
      mask[row * ids.size() + token] =
          from == to || (from == own ? prompt.query_sees(to) : prompt.piece_sees(from, to));
    }
  return {model.logits(ids, reference::plain_positions(static_cast<int64_t>(ids.size())), mask),
          static_cast<size_t>(model.vocabulary()), query_end - 1};
}

// Natural logarithm of the likelihood of `label` and one terminator token behind the prompt.
inline double oracle_log_likelihood(const reference::OracleModel& model, const OraclePrompt& prompt,
                                    const LabelTokens& label) {
  std::vector<int32_t> tokens = label.ids;
  if (!label.terminator.empty()) tokens.push_back(label.terminator.front());
  const OracleRows rows = oracle_rows(model, prompt, tokens);
  double sum = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const double* row = rows.after(i);
    double total = 0;
    for (size_t j = 0; j < rows.vocabulary; ++j) total += std::exp(row[j]);
    sum += row[tokens[i]] - std::log(total);
  }
  return sum;
}

// Natural logarithm of each label's probability as icl/label_score.h defines it, [labels].
inline std::vector<double> oracle_trie_log_probabilities(const reference::OracleModel& model,
                                                         const OraclePrompt& prompt,
                                                         const LabelTrie& trie) {
  std::vector<double> result(static_cast<size_t>(trie.node(0).label_count));
  for (int32_t leaf = 0; leaf < trie.size(); ++leaf) {
    if (trie.node(leaf).label < 0) continue;
    const std::vector<int32_t> tokens = trie.path(leaf);
    const OracleRows rows = oracle_rows(model, prompt, tokens);
    double sum = 0;
    for (int32_t at = leaf; at > 0; at = trie.node(at).parent) {
      const double* row = rows.after(static_cast<size_t>(trie.node(at).depth) - 1);
      double total = 0;
      for (const int32_t child : trie.children(trie.node(at).parent))
        total += std::exp(row[trie.node(child).token]);
      sum += row[trie.node(at).token] - std::log(total);
    }
    result[static_cast<size_t>(trie.node(leaf).label)] = sum;
  }
  return result;
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
