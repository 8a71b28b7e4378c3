#include "pipeline/label_decoder.h"

#include <algorithm>
#include <cmath>

namespace dbsa {

Result<Decision> decode_trie(const LabelTrie& trie, QueryPass& pass,
                             std::span<const int32_t> query) {
  std::vector<int32_t> written;  // in the pass
  return decide(trie, [&](int32_t node) -> Result<std::vector<double>> {
    std::vector<int32_t> tokens(query.begin(), query.end());
    const std::vector<int32_t> path = trie.path(node);
    tokens.insert(tokens.end(), path.begin(), path.end());
    const auto common =
        std::mismatch(tokens.begin(), tokens.end(), written.begin(), written.end()).first -
        tokens.begin();
    pass.truncate(common);
    std::vector<int32_t> asked;
    for (const int32_t child : trie.children(node)) asked.push_back(trie.node(child).token);
    DBSA_ASSIGN_OR_RETURN(
        host::TokenScores scores,
        pass.extend(std::span(tokens).subspan(static_cast<size_t>(common)), asked));
    written = std::move(tokens);
    return std::move(scores.values);
  });
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

Result<Generated> decode_free(const Tokenizer& tokenizer, std::span<const std::string> stops,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::span<const int32_t> query) {
  Generated generated;
  std::vector<int32_t> ids;
  DBSA_ASSIGN_OR_RETURN(host::TokenScores scores, pass.extend(query, {}));
  for (;;) {
    if (!std::isfinite(scores.best_value))
      return Error{ErrorCode::kRun, "decoding: the model's logits are not finite", ""};
    generated.log_probability += scores.best_value;
    ++generated.tokens;
    if (std::find(end_ids.begin(), end_ids.end(), scores.best) != end_ids.end()) break;
    ids.push_back(scores.best);
    generated.text = tokenizer.decode(ids);
    if (const std::optional<size_t> end = find_stop(generated.text, stops)) {
      generated.text.resize(*end);
      break;
    }
    if (generated.tokens == max_tokens) break;
    DBSA_ASSIGN_OR_RETURN(scores, pass.extend({&ids.back(), 1}, {}));
  }
  generated.text = std::string(trim(generated.text));
  return generated;
}

}  // namespace dbsa
