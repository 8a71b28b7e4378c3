#include "icl/confidence_curve.h"

#include <algorithm>
#include <cmath>

#include "icl/label_scorer.h"

namespace dbsa {
namespace {

double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// Of log-probabilities, two at least.
struct TopOdds {
  size_t best = 0;
  double log_odds = 0;   // of the best
  double log_rest = 0;   // log (1 - p)
  double log_share = 0;  // of the second best in the rest
};

TopOdds top_odds(std::span<const double> log_probabilities) {
  TopOdds top;
  top.best =
      static_cast<size_t>(std::max_element(log_probabilities.begin(), log_probabilities.end()) -
                          log_probabilities.begin());
  double second = -INFINITY;
  for (size_t i = 0; i < log_probabilities.size(); ++i)
    if (i != top.best) second = std::max(second, log_probabilities[i]);
  double sum = 0;
  for (size_t i = 0; i < log_probabilities.size(); ++i)
    if (i != top.best) sum += std::exp(log_probabilities[i] - second);
  top.log_share = -std::log(sum);
  top.log_rest = second + std::log(sum);
  top.log_odds = log_probabilities[top.best] - top.log_rest;
  return top;
}

struct Point {
  double log_odds = 0;
  double target = 0;
};

double loss(std::span<const Point> points, const ConfidenceCurve& curve) {
  double total = 0;
  for (const Point& point : points) {
    const double x = curve.slope * point.log_odds + curve.offset;
    total += softplus(x) - point.target * x;
  }
  return total;
}

}  // namespace

ConfidenceCurve fit_confidence_curve(std::span<const ScoredAnswer> answers, double temperature) {
  std::vector<Point> points;
  double right = 0;
  for (const ScoredAnswer& answer : answers) {
    if (answer.scores.size() < 2) continue;  // a single label is certain
    const double odds = top_odds(log_softmax(answer.scores, temperature)).log_odds;
    if (!std::isfinite(odds)) continue;
    points.push_back({odds, answer.right ? 1.0 : 0.0});
    right += answer.right ? 1 : 0;
  }
  if (points.empty()) return {};
  const double wrong = static_cast<double>(points.size()) - right;
  double mean = 0;
  for (Point& point : points) {
    point.target = point.target > 0 ? (right + 1) / (right + 2) : 1 / (wrong + 2);
    mean += point.target / static_cast<double>(points.size());
  }
  const ConfidenceCurve flat = {0, std::log(mean / (1 - mean))};
  ConfidenceCurve curve = flat;
  double least = loss(points, curve);
  for (int step = 0; step < 100; ++step) {
    double slope = 0, offset = 0, aa = 1e-12, ab = 0, bb = 1e-12;  // gradient, second derivatives
    for (const Point& point : points) {
      const double x = curve.slope * point.log_odds + curve.offset;
      const double p = 1 / (1 + std::exp(-x));
      slope += (p - point.target) * point.log_odds;
      offset += p - point.target;
      aa += p * (1 - p) * point.log_odds * point.log_odds;
      ab += p * (1 - p) * point.log_odds;
      bb += p * (1 - p);
    }
    if (std::max(std::abs(slope), std::abs(offset)) < 1e-9 * static_cast<double>(points.size()))
      break;
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 0)) break;  // all log-odds are the same: the flat curve
    const ConfidenceCurve full = {(bb * slope - ab * offset) / determinant,
                                  (aa * offset - ab * slope) / determinant};
    bool better = false;
    for (double part = 1; part > 1e-10 && !better; part /= 2) {
      const ConfidenceCurve next = {curve.slope - part * full.slope,
                                    curve.offset - part * full.offset};
      const double here = loss(points, next);
      better = here < least;
      if (!better) continue;
      curve = next;
      least = here;
    }
    if (!better) break;
  }
  // Surer answers that are right less often: nothing is to be learnt from how sure they are.
  return curve.slope >= 0 ? curve : flat;
}

void apply_confidence_curve(const ConfidenceCurve& curve, std::span<double> log_probabilities) {
  if (log_probabilities.size() < 2) return;
  const TopOdds top = top_odds(log_probabilities);
  if (!std::isfinite(top.log_odds)) return;
  const double odds = std::max(curve.slope * top.log_odds + curve.offset, top.log_share);
  const double rest = -softplus(odds);
  for (double& value : log_probabilities) value += rest - top.log_rest;
  log_probabilities[top.best] = -softplus(-odds);
}

}  // namespace dbsa
