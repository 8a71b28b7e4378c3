// TF-IDF and logistic regression: what many-shot learning in context must beat to be worth its
// cost. One regression for each label against all others, as liblinear trains them.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"
#include "icl/tfidf.h"

namespace dbsa {

// Weights [features + 1], the last one of a feature that is 1 in every row, that minimise
//   |w|^2 / 2 + penalty x sum over rows of ln(1 + exp(-y w x)),   y = 1 where positive, else -1.
// By L-BFGS, until the gradient is 1e-8 of what it was at 0, or for 1,000 steps; deterministic.
// stop: asked between steps; true ends the work and returns what is there.
// Cost of a step: O(features of all rows).
std::vector<double> fit_logistic_regression(std::span<const SparseRow> rows,
                                            std::span<const char> positive, size_t features,
                                            double penalty, const std::function<bool()>& stop = {});

class LinearClassifier {
 public:
  // Learns from examples with labels, of which there is at least one. penalty: larger fits the
  // examples closer (C of liblinear). Nothing where `stop` ended it.
  static std::optional<LinearClassifier> train(std::span<const Example> examples, double penalty,
                                               const std::function<bool()>& stop = {});

  // The label of the highest score; of equal ones the first in byte order.
  const std::string& predict(std::string_view text) const;

 private:
  LinearClassifier(Tfidf tfidf, std::vector<std::string> labels)
      : tfidf_(std::move(tfidf)), labels_(std::move(labels)) {}

  Tfidf tfidf_;
  std::vector<std::string> labels_;
  std::vector<std::vector<double>> weights_;  // [labels][features + 1]
};

}  // namespace dbsa
