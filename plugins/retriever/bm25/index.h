// Index: which documents hold a term, how often, and what that is worth under BM25.
#pragma once

#include <dbsa/sdk/retriever_words.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/shared/text/analyzer.h"
#include "plugins/shared/text/bm25_formula.h"

namespace dbsa::bm25 {

// Inverted, in flat arrays. Terms are in byte order; the postings of a term in document order.
class Index {
 public:
  // Cost: O(bytes of the documents).
  static Result<Index> build(Texts documents, const text::AnalyzerOptions& options,
                             const text::Bm25Weights& weights);

  // Little-endian bytes with a checksum; they do not depend on the weights. parse returns kCorrupt
  // for bytes that serialize did not write, or wrote for other analyzer options.
  std::string serialize() const;
  static Result<Index> parse(std::string_view bytes, const text::AnalyzerOptions& options,
                             const text::Bm25Weights& weights);

  int64_t document_count() const { return static_cast<int64_t>(lengths_.size()); }

  // Adds each document's score for a query to scores[document_count()]. A term counts as often as
  // it occurs in the query; terms are added in byte order, so a score depends on the query's words
  // and not on their order. Cost: O(postings of the query's terms).
  Status add_scores(std::string_view query, double* scores) const;

  // The terms of a query that a document holds, in byte order; their scores in this order add up
  // to what add_scores gives the document. Cost: a binary search for each term.
  Result<std::vector<SharedWord>> shared_words(std::string_view query, int64_t document) const;

 private:
  // A term of a query, and how often it occurs there.
  struct QueryTerm {
    int64_t number;
    int64_t times;
  };
  // Those that the index has, in byte order.
  Result<std::vector<QueryTerm>> terms_of(std::string_view query) const;
  std::string_view term(size_t i) const {
    return std::string_view(term_text_).substr(term_ends_[i], term_ends_[i + 1] - term_ends_[i]);
  }
  // The number of a term, or -1.
  int64_t find(std::string_view term) const;
  void weigh(const text::Bm25Weights& weights);
  Status validate() const;

  text::AnalyzerOptions options_;
  std::string term_text_;               // all terms, one after the other
  std::vector<uint64_t> term_ends_;     // [terms + 1], from 0: offsets in term_text_
  std::vector<uint64_t> posting_ends_;  // [terms + 1], from 0: offsets in the postings
  std::vector<uint32_t> documents_;     // [postings]
  std::vector<uint32_t> frequencies_;   // [postings] of the term in the document
  std::vector<uint32_t> lengths_;       // [documents] in terms
  std::vector<double> worth_;           // [postings] what the posting adds to a score
};

}  // namespace dbsa::bm25
