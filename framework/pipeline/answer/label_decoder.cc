#include "pipeline/answer/label_decoder.h"

#include <algorithm>
#include <cmath>

#include "icl/best_first_walk.h"
#include "icl/greedy_walk.h"

namespace dbsa {

namespace {

std::vector<int32_t> tokens_of_children(const LabelTrie& trie, int32_t node) {
  std::vector<int32_t> tokens;
  for (const int32_t child : trie.children(node)) tokens.push_back(trie.node(child).token);
  return tokens;
}

}  // namespace

Result<Decision> decode_best_first(const LabelTrie& trie, QueryPass& pass,
                                   std::span<const int32_t> query) {
  BestFirstWalk walk(trie);
  std::vector<int32_t> row_of(static_cast<size_t>(trie.size()), -1);
  int32_t row_count = 0;
  for (std::vector<int32_t> nodes = walk.next(); !nodes.empty(); nodes = walk.next()) {
    std::vector<TreeToken> rows;
    std::vector<int32_t> asking;  // nodes
    for (const int32_t node : nodes) {
      const LabelTrie::Node& at = trie.node(node);
      if (node > 0) {
        rows.push_back({at.token, row_of[static_cast<size_t>(at.parent)], at.depth - 1});
        row_of[static_cast<size_t>(node)] = row_count++;
      }
      if (trie.is_branching(node)) asking.push_back(node);
    }
    std::vector<std::vector<int32_t>> tokens;
    for (const int32_t node : asking) tokens.push_back(tokens_of_children(trie, node));
    std::vector<QueryPass::TreeAsk> asks;
    for (size_t i = 0; i < asking.size(); ++i)
      asks.push_back({row_of[static_cast<size_t>(asking[i])], tokens[i]});
    size_t answered = 0;
    DBSA_RETURN_IF_ERROR(
        pass.extend(nodes.front() == 0 ? query : std::span<const int32_t>(), rows, asks,
                    [&](const QueryPass::TreeAsk&, const host::TokenScores& scores) {
                      return walk.supply(asking[answered++], scores.values);
                    }));
  }
  return walk.decision();
}

Result<std::vector<double>> score_trie(const LabelTrie& trie, QueryPass& pass,
                                       std::span<const int32_t> query) {
  std::vector<double> logits(static_cast<size_t>(trie.size()), 0.0);
  std::vector<int32_t> row_of(static_cast<size_t>(trie.size()), -1);
  std::vector<TreeToken> rows;
  std::vector<int32_t> asking;  // nodes
  for (int32_t node = 0; node < trie.size(); ++node) {
    const LabelTrie::Node& at = trie.node(node);
    if (at.label_count < 2) continue;  // nothing branches behind it
    if (node > 0) {
      row_of[static_cast<size_t>(node)] = static_cast<int32_t>(rows.size());
      rows.push_back({at.token, row_of[static_cast<size_t>(at.parent)], at.depth - 1});
    }
    if (trie.is_branching(node)) asking.push_back(node);
  }
  std::vector<std::vector<int32_t>> tokens;
  for (const int32_t node : asking) tokens.push_back(tokens_of_children(trie, node));
  std::vector<QueryPass::TreeAsk> asks;
  for (size_t i = 0; i < asking.size(); ++i)
    asks.push_back({row_of[static_cast<size_t>(asking[i])], tokens[i]});
  size_t answered = 0;
  DBSA_RETURN_IF_ERROR(pass.extend(
      query, rows, asks, [&](const QueryPass::TreeAsk&, const host::TokenScores& scores) {
        const std::span<const int32_t> children = trie.children(asking[answered++]);
        for (size_t i = 0; i < children.size(); ++i)
          logits[static_cast<size_t>(children[i])] = scores.values[i];
        return Status();
      }));
  return label_log_probabilities(trie, logits);
}

Result<Decision> decode_greedily(const LabelTrie& trie, QueryPass& pass,
                                 std::span<const int32_t> query) {
  const int64_t before = pass.length();
  std::vector<int32_t> written;  // in the pass since
  return decide_greedily(trie, [&](int32_t node) -> Result<std::vector<double>> {
    std::vector<int32_t> tokens(query.begin(), query.end());
    const std::vector<int32_t> path = trie.path(node);
    tokens.insert(tokens.end(), path.begin(), path.end());
    const auto common =
        std::mismatch(tokens.begin(), tokens.end(), written.begin(), written.end()).first -
        tokens.begin();
    pass.truncate(before + common);
    DBSA_ASSIGN_OR_RETURN(host::TokenScores scores,
                          pass.extend(std::span(tokens).subspan(static_cast<size_t>(common)),
                                      tokens_of_children(trie, node)));
    written = std::move(tokens);
    return std::move(scores.values);
  });
}

Result<std::vector<double>> decode_likelihood(const LikelihoodTree& tree, QueryPass& pass,
                                              std::span<const int32_t> query) {
  std::vector<QueryPass::TreeAsk> asks;
  for (int32_t row = -1; row < static_cast<int32_t>(tree.rows().size()); ++row)
    asks.push_back({row, tree.next_tokens(row)});
  std::vector<double> edges = tree.make_edges();
  DBSA_RETURN_IF_ERROR(
      pass.extend(query, tree.rows(), asks,
                  [&](const QueryPass::TreeAsk& ask, const host::TokenScores& scores) {
                    return tree.supply(ask.row, scores.values, edges);
                  }));
  return tree.log_likelihoods(edges);
}

namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

}  // namespace

std::optional<size_t> find_stop(std::string_view text, std::span<const std::string> stops) {
  size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  if (first == std::string_view::npos) return std::nullopt;
  return first;
}

std::optional<std::string> text_before_stop(const Tokenizer& tokenizer,
                                            std::span<const int32_t> ids,
                                            std::span<const std::string> stops) {
  const auto literal = [&](size_t count) {
    return tokenizer.decode(ids.first(count), {.skip_special = false});
  };
  const std::string whole = literal(ids.size());
  const std::optional<size_t> at = find_stop(whole, stops);
  if (!at) return std::nullopt;
  // The tokens that lie before the stop, then the rest of the one that it begins in.
  size_t count = ids.size();
  std::string before = whole;
  while (before.size() > *at || !whole.starts_with(before)) before = literal(--count);
  std::string text = tokenizer.decode(ids.first(count));
  if (count < ids.size() && !tokenizer.is_special(ids[count]))
    text += whole.substr(before.size(), *at - before.size());
  return text;
}

Result<Generated> decode_free(const Tokenizer& tokenizer, std::span<const std::string> stops,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::span<const int32_t> query) {
  Generated generated;
  std::vector<int32_t> ids;
  std::optional<std::string> stopped;
  DBSA_ASSIGN_OR_RETURN(host::TokenScores scores, pass.extend(query, {}));
  for (;;) {
    if (!std::isfinite(scores.best_value))
      return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
    generated.log_probability += scores.best_value;
    ++generated.tokens;
    if (std::find(end_ids.begin(), end_ids.end(), scores.best) != end_ids.end()) break;
    ids.push_back(scores.best);
    stopped = text_before_stop(tokenizer, ids, stops);
    if (stopped || generated.tokens == max_tokens) break;
    DBSA_ASSIGN_OR_RETURN(scores, pass.extend({&ids.back(), 1}, {}));
  }
  const std::string text = stopped ? *std::move(stopped) : tokenizer.decode(ids);
  generated.text = tokenizer.clean_up(std::string(trim(text)));
  return generated;
}

}  // namespace dbsa
