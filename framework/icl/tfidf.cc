#include "icl/tfidf.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "text/unicode.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// Words and pairs; no word has a space.
std::vector<std::string> terms_of(std::string_view text) {
  std::vector<std::string> terms = words_of(text);
  const size_t words = terms.size();
  for (size_t i = 1; i < words; ++i) terms.push_back(terms[i - 1] + " " + terms[i]);
  return terms;
}

bool is_pair(std::string_view term) { return term.find(' ') != term.npos; }

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  const std::string folded = to_lowercase(to_nfc(text));
  std::vector<std::string> words;
  std::string word;
  for (size_t at = 0; at < folded.size();) {
    const char32_t c = utf8::next(folded, at);
    if (is_word_character(c)) {
      utf8::append(word, c);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

Tfidf::Tfidf(std::span<const std::string> texts) {
  std::map<std::string, int64_t> found;  // terms: texts that have them; in one order everywhere
  for (const std::string& text : texts) {
    const std::vector<std::string> terms = terms_of(text);
    for (const std::string& term : std::set<std::string>(terms.begin(), terms.end())) ++found[term];
  }
  const auto count = static_cast<double>(texts.size());
  for (const auto& [term, with] : found) {
    if (with < 2 && is_pair(term)) continue;
    index_.emplace(term, static_cast<uint32_t>(idf_.size()));
    idf_.push_back(std::log((1 + count) / (1 + static_cast<double>(with))) + 1);
  }
}

SparseRow Tfidf::row(std::string_view text) const {
  std::map<uint32_t, double> values;
  for (const std::string& term : terms_of(text))
    if (const auto known = index_.find(term); known != index_.end())
      values[known->second] += idf_[known->second];
  double squares = 0;
  for (const auto& [index, value] : values) squares += value * value;
  SparseRow row;
  row.reserve(values.size());
  for (const auto& [index, value] : values) row.push_back({index, value / std::sqrt(squares)});
  return row;
}

}  // namespace dbsa
