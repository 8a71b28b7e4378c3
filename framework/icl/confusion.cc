#include "icl/confusion.h"

#include <algorithm>

namespace dbsa {

void ConfusionMatrix::add(std::string_view expected, std::string_view given, int64_t count) {
  counts_[{std::string(expected), std::string(given)}] += count;
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  for (const auto& [pair, count] : other.counts_) counts_[pair] += count;
}

int64_t ConfusionMatrix::count(const std::string& expected, const std::string& given) const {
  const auto found = counts_.find({expected, given});
  return found == counts_.end() ? 0 : found->second;
}

int64_t ConfusionMatrix::answers() const {
  int64_t answers = 0;
  for (const auto& [pair, count] : counts_) answers += count;
  return answers;
}

std::vector<LabelScores> ConfusionMatrix::labels() const {
  std::map<std::string_view, LabelScores> found;
  for (const auto& [pair, count] : counts_) {
    found[pair.first].expected += count;
    if (pair.first == pair.second) found[pair.first].right += count;
    if (!pair.second.empty()) found[pair.second].given += count;
  }
  std::vector<LabelScores> labels;
  for (auto& [label, scores] : found) {
    const auto right = static_cast<double>(scores.right);
    scores.label = label;
    if (scores.given > 0) scores.precision = right / static_cast<double>(scores.given);
    if (scores.expected > 0) scores.recall = right / static_cast<double>(scores.expected);
    scores.f1 = 2 * right / static_cast<double>(scores.expected + scores.given);
    labels.push_back(std::move(scores));
  }
  return labels;
}

std::vector<Confusion> ConfusionMatrix::confusions() const {
  std::vector<Confusion> found;
  for (const auto& [pair, count] : counts_)
    if (pair.first != pair.second) found.push_back({pair.first, pair.second, count});
  std::stable_sort(found.begin(), found.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return found;
}

nlohmann::ordered_json to_json(std::span<const LabelScores> labels) {
  using nlohmann::ordered_json;
  const auto share = [](const std::optional<double>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
  };
  ordered_json out = ordered_json::array();
  for (const LabelScores& label : labels)
    out.push_back({{"label", label.label},
                   {"expected", label.expected},
                   {"given", label.given},
                   {"right", label.right},
                   {"precision", share(label.precision)},
                   {"recall", share(label.recall)},
                   {"f1", label.f1}});
  return out;
}

nlohmann::ordered_json to_json(std::span<const Confusion> confusions) {
  using nlohmann::ordered_json;
  ordered_json out = ordered_json::array();
  for (const Confusion& pair : confusions)
    out.push_back({{"expected", pair.expected},
                   {"given", pair.given.empty() ? ordered_json(nullptr) : ordered_json(pair.given)},
                   {"count", pair.count}});
  return out;
}

}  // namespace dbsa
