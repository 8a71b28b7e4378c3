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
