#include "pipeline/answer/label_decoder.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "icl/best_first_walk.h"
#include "icl/greedy_walk.h"

namespace dbsa {

namespace {

std::vector<int32_t> tokens_of_children(const LabelTrie& trie, int32_t node) {
  std::vector<int32_t> tokens;
  for (const int32_t child : trie.children(node)) tokens.push_back(trie.node(child).token);
  return tokens;
}

// Nodes of a trie behind a query, each computed once.
class TrieRows {
 public:
  using Supply = std::function<Status(int32_t node, std::span<const double> scores)>;

  TrieRows(const LabelTrie& trie, QueryPass& pass, std::span<const int32_t> query)
      : trie_(trie), pass_(pass), query_(query), row_of_(static_cast<size_t>(trie.size()), -1) {}

  bool has(int32_t node) const { return row_of_[static_cast<size_t>(node)] >= 0; }

  // One pass over some nodes: ascending, the root first of all, those above them computed before or
  // among them. Supplies those that branch.
  Status compute(std::span<const int32_t> nodes, const Supply& supply) {
    std::vector<TreeToken> rows;
    std::vector<int32_t> asking;  // nodes
    for (const int32_t node : nodes) {
      const LabelTrie::Node& at = trie_.node(node);
      if (node > 0) {
        rows.push_back({at.token, row_of_[static_cast<size_t>(at.parent)], at.depth - 1});
        row_of_[static_cast<size_t>(node)] = row_count_++;
      }
      if (trie_.is_branching(node)) asking.push_back(node);
    }
    std::vector<std::vector<int32_t>> tokens;
    for (const int32_t node : asking) tokens.push_back(tokens_of_children(trie_, node));
    std::vector<QueryPass::TreeAsk> asks;
    for (size_t i = 0; i < asking.size(); ++i)
      asks.push_back({row_of_[static_cast<size_t>(asking[i])], tokens[i]});
    size_t answered = 0;
    return pass_.extend(nodes.front() == 0 ? query_ : std::span<const int32_t>(), rows, asks,
                        [&](const QueryPass::TreeAsk&, const host::TokenScores& scores) {
                          return supply(asking[answered++], scores.values);
                        });
  }

 private:
  const LabelTrie& trie_;
  QueryPass& pass_;
  std::span<const int32_t> query_;
  std::vector<int32_t> row_of_;  // [nodes]; -1: none
  int32_t row_count_ = 0;
};

}  // namespace

Result<Decision> decode_best_first(const LabelTrie& trie, QueryPass& pass,
                                   std::span<const int32_t> query, TrieNotes* notes) {
  BestFirstWalk walk(trie);
  TrieRows rows(trie, pass, query);
  const auto note = [&](int32_t node, std::span<const double> scores) {
    return notes == nullptr ? Status() : notes->reading.supply(node, scores);
  };
  const auto supply_walk = [&](int32_t node, std::span<const double> scores) {
    Status noted = note(node, scores);
    return noted.ok() ? walk.supply(node, scores) : noted;
  };
  for (std::vector<int32_t> nodes = walk.next(); !nodes.empty(); nodes = walk.next())
    DBSA_RETURN_IF_ERROR(rows.compute(nodes, supply_walk));
  if (notes == nullptr || notes->label < 0) return walk.decision();
  // What the walk had no need of on the way to the label, in one pass more.
  std::vector<int32_t> rest;
  for (const int32_t wanted : notes->reading.missing(notes->label))
    for (int32_t node = wanted; node > 0 && !rows.has(node); node = trie.node(node).parent)
      rest.push_back(node);
  std::sort(rest.begin(), rest.end());
  rest.erase(std::unique(rest.begin(), rest.end()), rest.end());
  if (!rest.empty()) DBSA_RETURN_IF_ERROR(rows.compute(rest, note));
  return walk.decision();
}

Result<TrieReading> read_trie(const LabelTrie& trie, QueryPass& pass,
                              std::span<const int32_t> query) {
  std::vector<int32_t> nodes = {0};
  for (int32_t node = 1; node < trie.size(); ++node)
    if (trie.node(node).label_count > 1) nodes.push_back(node);  // something branches behind it
  TrieReading reading(trie);
  TrieRows rows(trie, pass, query);
  DBSA_RETURN_IF_ERROR(rows.compute(nodes, [&](int32_t node, std::span<const double> scores) {
    return reading.supply(node, scores);
  }));
  return reading;
}

Result<Decision> decode_greedily(const LabelTrie& trie, QueryPass& pass,
                                 std::span<const int32_t> query, TrieNotes* notes) {
  const int64_t before = pass.length();
  std::vector<int32_t> written;  // in the pass since
  const auto scores_after = [&](int32_t node) -> Result<std::vector<double>> {
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
    if (notes != nullptr) DBSA_RETURN_IF_ERROR(notes->reading.supply(node, scores.values));
    return std::move(scores.values);
  };
  DBSA_ASSIGN_OR_RETURN(const Decision decision, decide_greedily(trie, scores_after));
  if (notes == nullptr || notes->label < 0) return decision;
  for (const int32_t node : notes->reading.missing(notes->label))
    if (const auto scores = scores_after(node); !scores.ok()) return scores.error();
  return decision;
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
  return edges;
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
    generated.tokens.push_back({scores.best, scores.best_value});
    if (std::find(end_ids.begin(), end_ids.end(), scores.best) != end_ids.end()) break;
    ids.push_back(scores.best);
    stopped = text_before_stop(tokenizer, ids, stops);
    if (stopped || static_cast<int64_t>(generated.tokens.size()) == max_tokens) break;
    DBSA_ASSIGN_OR_RETURN(scores, pass.extend({&ids.back(), 1}, {}));
  }
  const std::string text = stopped ? *std::move(stopped) : tokenizer.decode(ids);
  generated.text = tokenizer.clean_up(std::string(trim(text)));
  return generated;
}

Result<double> score_tokens(std::span<const int32_t> ids, QueryPass& pass,
                            std::span<const int32_t> query) {
  pass.truncate(0);
  double sum = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    DBSA_ASSIGN_OR_RETURN(const host::TokenScores scores,
                          pass.extend(i == 0 ? query : ids.subspan(i - 1, 1), ids.subspan(i, 1)));
    if (!std::isfinite(scores.values.front()))
      return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
    sum += scores.values.front();
  }
  return sum;
}

}  // namespace dbsa
