// BM25 as maps of words, slow and obviously right. It shares the analyser with the plugin, nothing
// else.
#pragma once

#include <dbsa/sdk/random.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "plugins/shared/text/analyzer.h"
#include "tests/plugins/retriever_under_test.h"

namespace dbsa::testing {

inline std::vector<std::string> terms_of(const std::string& text,
                                         const text::AnalyzerOptions& options) {
  Result<text::Analyzer> analyzer = text::Analyzer::create(options);
  EXPECT_TRUE(analyzer.ok());
  analyzer->start(text);
  std::vector<std::string> terms;
  for (std::string_view term; analyzer->next(term);) terms.emplace_back(term);
  return terms;
}

using Words = std::vector<std::string>;

struct Reference {
  std::vector<std::map<std::string, int>> documents;
  std::map<std::string, double> document_frequencies;
  std::vector<double> lengths;
  double k1;
  double b;
  double mean = 0;

  Reference(const std::vector<Words>& texts, double k1_value, double b_value)
      : k1(k1_value), b(b_value) {
    for (const Words& words : texts) {
      auto& counts = documents.emplace_back();
      for (const auto& word : words) ++counts[word];
      for (const auto& [word, count] : counts) ++document_frequencies[word];
      lengths.push_back(static_cast<double>(words.size()));
    }
    mean = std::accumulate(lengths.begin(), lengths.end(), 0.0) / static_cast<double>(texts.size());
  }

  double score(const Words& query, size_t d) const {
    const double n = static_cast<double>(documents.size());
    double sum = 0;
    for (const auto& word : query) {
      const auto found = documents[d].find(word);
      if (found == documents[d].end()) continue;
      const double df = document_frequencies.at(word);
      const double idf = std::log(1 + (n - df + 0.5) / (df + 0.5));
      sum += idf * found->second / (found->second + k1 * (1 - b + b * lengths[d] / mean));
    }
    return sum;
  }
};

// Ranks and scores agree. Sums are taken in another order, hence the tolerance: some 30 terms of
// size 1, each rounded at 2^-53.
inline void compare(const Reference& reference, const Words& query, const std::vector<Hit>& hits,
                    int64_t asked) {
  std::vector<double> scores;
  for (size_t d = 0; d < reference.documents.size(); ++d)
    scores.push_back(reference.score(query, d));
  std::vector<double> sorted = scores;
  std::sort(sorted.rbegin(), sorted.rend());
  const auto matching = std::count_if(scores.begin(), scores.end(), [](double s) { return s > 0; });
  ASSERT_EQ(static_cast<int64_t>(hits.size()), std::min<int64_t>(asked, matching));
  for (size_t i = 0; i < hits.size(); ++i) {
    ASSERT_NEAR(hits[i].score, scores[hits[i].id], 1e-13) << "rank " << i;
    ASSERT_NEAR(hits[i].score, sorted[i], 1e-13) << "rank " << i;
    if (i > 0 && hits[i].score == hits[i - 1].score) {
      ASSERT_GT(hits[i].id, hits[i - 1].id);
    }
  }
}

inline std::string join(const Words& words) {
  std::string text;
  for (const auto& word : words) text += word + " ";
  return text;
}

// Words drawn with the skew of natural language: rank r with a probability of about 1/r.
inline Words random_words(Random& random, int64_t count, uint64_t vocabulary) {
  Words words;
  for (int64_t i = 0; i < count; ++i)
    words.push_back("w" + std::to_string(random.below(1 + random.below(vocabulary))));
  return words;
}

}  // namespace dbsa::testing
