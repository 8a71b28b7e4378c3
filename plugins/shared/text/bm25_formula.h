// The parts of BM25: score = sum over terms of idf x tf / (tf + norm).
#pragma once

#include <cmath>

namespace dbsa::text {

struct Bm25Weights {
  double k1 = 1.2;
  double b = 0.75;
};

// What a term is worth that `holding` of `documents` documents hold.
inline double bm25_idf(double documents, double holding) {
  return std::log(1 + (documents - holding + 0.5) / (holding + 0.5));
}

// What a document's length, in terms, adds to the denominator.
inline double bm25_norm(const Bm25Weights& weights, double length, double mean_length) {
  return weights.k1 * (1 - weights.b + weights.b * length / mean_length);
}

}  // namespace dbsa::text
