// Which labels answers mistake for which: the confusion matrix, and what it says of each label.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbsa {

// One label among the answers to queries that expect a label.
struct LabelScores {
  std::string label;
  int64_t expected = 0;  // queries that expect it
  int64_t given = 0;     // answers that give it
  int64_t right = 0;     // both
  // right / given, right / expected; nothing where that is none.
  std::optional<double> precision, recall;
  double f1 = 0;  // 2 right / (expected + given)
};

// Answers that gave one label where another one was expected.
struct Confusion {
  std::string expected;
  std::string given;  // "": there is no answer
  int64_t count = 0;
};

class ConfusionMatrix {
 public:
  // A query that expects a label, not "", and its answer; "" for none.
  void add(std::string_view expected, std::string_view given, int64_t count = 1);
  void add(const ConfusionMatrix& other);

  bool empty() const { return counts_.empty(); }
  // Answers that gave `given` where `expected` was expected.
  int64_t count(const std::string& expected, const std::string& given) const;
  int64_t answers() const;  // all that was added

  // Labels that are expected or given, in byte order. Their mean F1 is macro-F1, as scikit-learn
  // computes it.
  std::vector<LabelScores> labels() const;
  // All that are not right, by descending count, then in byte order.
  std::vector<Confusion> confusions() const;

 private:
  std::map<std::pair<std::string, std::string>, int64_t> counts_;  // by expected, given
};

// As records and reports have them.
nlohmann::ordered_json to_json(std::span<const LabelScores> labels);
nlohmann::ordered_json to_json(std::span<const Confusion> confusions);

}  // namespace dbsa
