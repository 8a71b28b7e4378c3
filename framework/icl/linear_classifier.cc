#include "icl/linear_classifier.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace dbsa {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// a += factor x b
void add(double factor, const Vector& b, Vector& a) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
}

double score(const Vector& weights, const SparseRow& row) {
  double sum = weights.back();
  for (const Feature& feature : row) sum += weights[feature.index] * feature.value;
  return sum;
}

// ln(1 + exp(x)), for any x.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

struct Objective {
  std::span<const SparseRow> rows;
  std::span<const char> positive;
  double penalty = 1;

  double value(const Vector& weights, Vector& gradient) const {
    double sum = 0;
    gradient = weights;
    for (size_t i = 0; i < rows.size(); ++i) {
      const double y = positive[i] != 0 ? 1 : -1;
      const double margin = y * score(weights, rows[i]);
      sum += softplus(-margin);
      const double slope = -penalty * y / (1 + std::exp(margin));
      for (const Feature& feature : rows[i]) gradient[feature.index] += slope * feature.value;
      gradient.back() += slope;
    }
    return dot(weights, weights) / 2 + penalty * sum;
  }
};

// The last steps, and how the gradient changed with them.
class Curvature {
 public:
  void learn(Vector step, Vector change) {
    const double product = dot(step, change);
    if (product <= 0) return;  // of rounding: the objective is convex
    pairs_.push_back({std::move(step), std::move(change), product});
    if (pairs_.size() > kMost) pairs_.pop_front();
  }

  // Minus the inverse curvature times the gradient (Nocedal and Wright, algorithm 7.4).
  Vector direction(const Vector& gradient) const {
    Vector out = gradient;
    std::vector<double> factors(pairs_.size());
    for (size_t i = pairs_.size(); i-- > 0;) {
      factors[i] = dot(pairs_[i].step, out) / pairs_[i].product;
      add(-factors[i], pairs_[i].change, out);
    }
    const double scale =
        pairs_.empty() ? 1 / std::sqrt(dot(gradient, gradient))
                       : pairs_.back().product / dot(pairs_.back().change, pairs_.back().change);
    for (double& x : out) x *= scale;
    for (size_t i = 0; i < pairs_.size(); ++i) {
      const double factor = dot(pairs_[i].change, out) / pairs_[i].product;
      add(factors[i] - factor, pairs_[i].step, out);
    }
    for (double& x : out) x = -x;
    return out;
  }

 private:
  static constexpr size_t kMost = 8;
  struct Pair {
    Vector step, change;
    double product = 0;
  };
  std::deque<Pair> pairs_;
};

}  // namespace

std::vector<double> fit_logistic_regression(std::span<const SparseRow> rows,
                                            std::span<const char> positive, size_t features,
                                            double penalty, const std::function<bool()>& stop) {
  constexpr int kMostSteps = 1000;
  const Objective objective = {rows, positive, penalty};
  Vector weights(features + 1, 0.0), gradient;
  double value = objective.value(weights, gradient);
  const double end = 1e-8 * std::sqrt(dot(gradient, gradient));
  Curvature curvature;
  for (int i = 0; i < kMostSteps && std::sqrt(dot(gradient, gradient)) > end; ++i) {
    if (stop && stop()) break;
    const Vector direction = curvature.direction(gradient);
    const double slope = dot(direction, gradient);
    Vector next, next_gradient;
    double length = 1, next_value = 0;
    // Halved until the objective falls enough (Armijo); at the limit of rounding it never does.
    for (; length > 1e-10; length /= 2) {
      next = weights;
      add(length, direction, next);
      next_value = objective.value(next, next_gradient);
      if (next_value <= value + 1e-4 * length * slope) break;
    }
    if (length <= 1e-10) break;
    Vector step = next, change = next_gradient;
    add(-1, weights, step);
    add(-1, gradient, change);
    curvature.learn(std::move(step), std::move(change));
    weights = std::move(next);
    gradient = std::move(next_gradient);
    value = next_value;
  }
  return weights;
}

std::optional<LinearClassifier> LinearClassifier::train(std::span<const Example> examples,
                                                        double penalty,
                                                        const std::function<bool()>& stop) {
  std::vector<std::string> texts;
  for (const Example& example : examples) texts.push_back(example.text);
  LinearClassifier made(Tfidf(texts), label_table(examples));
  std::vector<SparseRow> rows;
  for (const std::string& text : texts) rows.push_back(made.tfidf_.row(text));
  std::vector<char> positive(examples.size());
  for (const std::string& label : made.labels_) {
    for (size_t i = 0; i < examples.size(); ++i)
      positive[i] = static_cast<char>(examples[i].label == label);
    made.weights_.push_back(
        fit_logistic_regression(rows, positive, made.tfidf_.features(), penalty, stop));
    if (stop && stop()) return {};
  }
  return made;
}

const std::string& LinearClassifier::predict(std::string_view text) const {
  const SparseRow row = tfidf_.row(text);
  size_t best = 0;
  double best_score = score(weights_.front(), row);
  for (size_t i = 1; i < weights_.size(); ++i)
    if (const double found = score(weights_[i], row); found > best_score) {
      best = i;
      best_score = found;
    }
  return labels_[best];
}

}  // namespace dbsa
