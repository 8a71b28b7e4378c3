// TF-IDF: texts as sparse vectors of their words and pairs of words, for linear_classifier.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dbsa {

struct Feature {
  uint32_t index = 0;
  double value = 0;
};
// By ascending index, each at most once.
using SparseRow = std::vector<Feature>;

// The words of a valid UTF-8 text: runs of letters, marks, digits and connectors, in lower case and
// Unicode form C. Scripts that write no spaces are not cut.
std::vector<std::string> words_of(std::string_view text);

// Words, and pairs of neighbouring words that at least two texts have. A value is
// count x (ln((1 + texts) / (1 + texts with it)) + 1), then each row is divided by its length, as
// scikit-learn's TfidfVectorizer does by default.
class Tfidf {
 public:
  // Cost: O(words of all texts).
  explicit Tfidf(std::span<const std::string> texts);

  size_t features() const { return idf_.size(); }
  // Words that no text of the constructor had are left out; a row may be empty.
  SparseRow row(std::string_view text) const;

 private:
  std::unordered_map<std::string, uint32_t> index_;
  std::vector<double> idf_;  // [features]
};

}  // namespace dbsa
