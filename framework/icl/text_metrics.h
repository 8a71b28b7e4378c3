// Scores of generated text against one or more references. All from 0 to 1; texts are UTF-8, and a
// byte that is not counts as U+FFFD.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dbsa {

// Whether the text equals a reference once white space at both ends is gone and every other run of
// it is one space. White space is Unicode's. Cost: O(bytes).
bool exact_match(std::string_view text, std::span<const std::string> references);

// ROUGE-L F1 of the best reference: F1 of the longest common subsequence of tokens, which are runs
// of [a-z0-9] after lower-casing, as package rouge_score has it without a stemmer. 0 where the text
// or every reference has no token. Cost: O(tokens of the text x tokens of a reference), each.
double rouge_l(std::string_view text, std::span<const std::string> references);

// Character n-grams of a text, of a reference, and of both, for n = 1 ... 6. Those of several texts
// add up to a corpus.
struct ChrfCounts {
  static constexpr size_t kOrders = 6;
  std::array<int64_t, kOrders> text{}, reference{}, common{};

  ChrfCounts& operator+=(const ChrfCounts& other);
  // chrF (Popovic 2015) with beta = 2: F of precision and recall, which are means over the orders
  // that text and reference both have. sacreBLEU's score divided by 100.
  double score() const;
};

// The counts against the reference with the best score, the first of equals; white space does not
// count. As sacreBLEU's default chrF2. Cost: O(characters) hash insertions for each order.
ChrfCounts chrf_counts(std::string_view text, std::span<const std::string> references);

struct TextScores {
  double exact_match = 0;
  double rouge_l = 0;
  double chrf = 0;
};

// Of one text.
TextScores score_text(std::string_view text, std::span<const std::string> references);

// Over many texts: means, and chrF of the corpus, which is no mean.
class CorpusTextScores {
 public:
  void add(std::string_view text, std::span<const std::string> references);
  int64_t count() const { return count_; }
  TextScores scores() const;  // all 0 for no texts

 private:
  int64_t count_ = 0;
  TextScores sum_;
  ChrfCounts chrf_;
};

}  // namespace dbsa
