#include "pipeline/answer/label_decoder.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

std::vector<int32_t> tokens_of_children(const LabelTrie& trie, int32_t node) {
  std::vector<int32_t> tokens;
  for (const int32_t child : trie.children(node)) tokens.push_back(trie.node(child).token);
  return tokens;
}

Error not_finite() { return {ErrorCode::kRun, "decoding: the model's logits are not finite", ""}; }

}  // namespace

QueryPass::Step TrieRows::step(std::span<const int32_t> nodes) {
  QueryPass::Step step;
  if (nodes.front() == 0) step.ids.assign(query_.begin(), query_.end());
  asking_.clear();
  for (const int32_t node : nodes) {
    const LabelTrie::Node& at = trie_.node(node);
    if (node > 0) {
      step.rows.push_back({at.token, row_of_[static_cast<size_t>(at.parent)], at.depth - 1});
      row_of_[static_cast<size_t>(node)] = row_count_++;
    }
    if (!trie_.is_branching(node)) continue;
    asking_.push_back(node);
    step.asks.push_back({row_of_[static_cast<size_t>(node)], tokens_of_children(trie_, node)});
  }
  return step;
}

std::optional<QueryPass::Step> BestFirstDecoding::next() {
  if (walking_) {
    if (const std::vector<int32_t> nodes = walk_.next(); !nodes.empty()) return rows_.step(nodes);
    walking_ = false;
    if (notes_ == nullptr || notes_->label < 0) return std::nullopt;
    // What the walk had no need of on the way to the label, in one step more.
    std::vector<int32_t> rest;
    for (const int32_t wanted : notes_->reading.missing(notes_->label))
      for (int32_t node = wanted; node > 0 && !rows_.has(node); node = trie_.node(node).parent)
        rest.push_back(node);
    std::sort(rest.begin(), rest.end());
    rest.erase(std::unique(rest.begin(), rest.end()), rest.end());
    if (!rest.empty()) return rows_.step(rest);
  }
  return std::nullopt;
}

Status BestFirstDecoding::take(size_t ask, const host::TokenScores& scores) {
  const int32_t node = rows_.node(ask);
  if (notes_ != nullptr) DBSA_RETURN_IF_ERROR(notes_->reading.supply(node, scores.values));
  return walking_ ? walk_.supply(node, scores.values) : Status();
}

std::optional<QueryPass::Step> WholeTrieDecoding::next() {
  if (std::exchange(begun_, true)) return std::nullopt;
  std::vector<int32_t> nodes = {0};
  for (int32_t node = 1; node < trie_.size(); ++node)
    if (trie_.node(node).label_count > 1) nodes.push_back(node);  // something branches behind it
  return rows_.step(nodes);
}

Status WholeTrieDecoding::take(size_t ask, const host::TokenScores& scores) {
  return reading_.supply(rows_.node(ask), scores.values);
}

// From what is written to the node.
QueryPass::Step GreedyDecoding::step_to(int32_t node) {
  std::vector<int32_t> tokens(query_.begin(), query_.end());
  const std::vector<int32_t> path = trie_.path(node);
  tokens.insert(tokens.end(), path.begin(), path.end());
  const auto common =
      std::mismatch(tokens.begin(), tokens.end(), written_.begin(), written_.end()).first -
      tokens.begin();
  QueryPass::Step step;
  step.length = common;
  step.ids.assign(tokens.begin() + common, tokens.end());
  step.asks.push_back({-1, tokens_of_children(trie_, node)});
  written_ = std::move(tokens);
  node_ = node;
  return step;
}

std::optional<QueryPass::Step> GreedyDecoding::next() {
  if (const std::optional<int32_t> node = walk_.needs()) return step_to(*node);
  if (notes_ == nullptr || notes_->label < 0) return std::nullopt;
  if (!rest_) rest_ = notes_->reading.missing(notes_->label);
  if (read_ == rest_->size()) return std::nullopt;
  return step_to((*rest_)[read_++]);
}

Status GreedyDecoding::take(size_t, const host::TokenScores& scores) {
  if (notes_ != nullptr) DBSA_RETURN_IF_ERROR(notes_->reading.supply(node_, scores.values));
  return rest_ ? Status() : walk_.supply(scores.values);
}

std::optional<QueryPass::Step> LikelihoodDecoding::next() {
  if (std::exchange(begun_, true)) return std::nullopt;
  QueryPass::Step step;
  step.length = length_;
  step.ids.assign(query_.begin(), query_.end());
  step.rows.assign(tree_.rows().begin(), tree_.rows().end());
  for (int32_t row = -1; row < static_cast<int32_t>(step.rows.size()); ++row) {
    const auto& tokens = tree_.next_tokens(row);
    step.asks.push_back({row, {tokens.begin(), tokens.end()}});
  }
  return step;
}

Status LikelihoodDecoding::take(size_t ask, const host::TokenScores& scores) {
  return tree_.supply(static_cast<int32_t>(ask) - 1, scores.values, edges_);
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

std::optional<QueryPass::Step> FreeDecoding::next() {
  if (done_) return std::nullopt;
  QueryPass::Step step;
  if (tokens_.empty())
    step.ids.assign(query_.begin(), query_.end());
  else
    step.ids.push_back(ids_.back());
  step.asks.emplace_back();
  return step;
}

Status FreeDecoding::take(size_t, const host::TokenScores& scores) {
  if (!std::isfinite(scores.best_value)) return not_finite();
  log_probability_ += scores.best_value;
  tokens_.push_back({scores.best, scores.best_value});
  const std::span<const int64_t> ends = limits_.end_ids;
  done_ = std::find(ends.begin(), ends.end(), scores.best) != ends.end();
  if (done_) return {};
  ids_.push_back(scores.best);
  stopped_ = text_before_stop(tokenizer_, ids_, limits_.stops);
  done_ = stopped_ || static_cast<int64_t>(tokens_.size()) == limits_.max_tokens;
  return {};
}

Generated FreeDecoding::generated() const {
  const std::string text = stopped_ ? *stopped_ : tokenizer_.decode(ids_);
  return {tokenizer_.clean_up(std::string(trim(text))), log_probability_, tokens_};
}

std::optional<QueryPass::Step> TokenScoring::next() {
  if (scored_ == ids_.size()) return std::nullopt;
  QueryPass::Step step;
  if (scored_ == 0) {
    step.length = 0;
    step.ids.assign(query_.begin(), query_.end());
  } else {
    step.ids.push_back(ids_[scored_ - 1]);
  }
  step.asks.push_back({-1, {ids_[scored_]}});
  return step;
}

Status TokenScoring::take(size_t, const host::TokenScores& scores) {
  if (!std::isfinite(scores.values.front())) return not_finite();
  sum_ += scores.values.front();
  ++scored_;
  return {};
}

}  // namespace dbsa
