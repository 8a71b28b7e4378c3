#include "pipeline/label_decoder.h"

#include <algorithm>
#include <cmath>

namespace dbsa {

Result<Decision> decode_trie(const LabelTrie& trie, QueryPass& pass, std::vector<float> logits) {
  const int64_t query_tokens = pass.length();
  std::vector<int32_t> written;  // behind the query, in the pass
  return decide(trie, [&](int32_t node) -> Result<std::vector<float>> {
    const std::vector<int32_t> path = trie.path(node);
    if (path.empty()) return std::move(logits);
    const auto common = static_cast<size_t>(
        std::mismatch(path.begin(), path.end(), written.begin(), written.end()).first -
        path.begin());
    pass.truncate(query_tokens + static_cast<int64_t>(common));
    written = path;
    return pass.extend(std::span(path).subspan(common));
  });
}

Result<std::vector<double>> score_labels(const LabelTree& tree, QueryPass& pass,
                                         std::span<const float> logits) {
  std::vector<double> edges = tree.make_edges();
  DBSA_RETURN_IF_ERROR(tree.supply(-1, logits, edges));
  DBSA_RETURN_IF_ERROR(pass.extend_tree(
      tree.rows(),
      [&](int32_t row, std::span<const float> after) { return tree.supply(row, after, edges); }));
  return tree.log_likelihoods(edges);
}

namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

// Natural logarithm of the softmax of one entry.
double log_softmax_at(std::span<const float> logits, size_t index) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return logits[index] - highest - std::log(sum);
}

}  // namespace

std::optional<size_t> find_stop(std::string_view text, std::span<const std::string> stops) {
  size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  if (first == std::string_view::npos) return std::nullopt;
  return first;
}

Result<Generated> decode_free(const Tokenizer& tokenizer, std::span<const std::string> stops,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::vector<float> logits) {
  Generated generated;
  std::vector<int32_t> ids;
  for (;;) {
    const auto best = std::max_element(logits.begin(), logits.end());
    if (!std::isfinite(*best))
      return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
    const auto token = static_cast<int32_t>(best - logits.begin());
    generated.log_probability += log_softmax_at(logits, static_cast<size_t>(token));
    ++generated.tokens;
    if (std::find(end_ids.begin(), end_ids.end(), token) != end_ids.end()) break;
    ids.push_back(token);
    generated.text = tokenizer.decode(ids);
    if (const std::optional<size_t> end = find_stop(generated.text, stops)) {
      generated.text.resize(*end);
      break;
    }
    if (generated.tokens == max_tokens) break;
    DBSA_ASSIGN_OR_RETURN(logits, pass.extend({&token, 1}));
  }
  generated.text = std::string(trim(generated.text));
  return generated;
}

}  // namespace dbsa
