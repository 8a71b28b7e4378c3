#include "icl/temperature.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

// The sum that is to be least, at T = exp(log_temperature).
double loss(std::span<const ScoredAnswer> answers, double log_temperature) {
  const double beta = std::exp(-log_temperature);
  double total = 0;
  for (const ScoredAnswer& answer : answers) {
    if (answer.scores.size() < 2) continue;  // a single label is certain
    const auto best = std::max_element(answer.scores.begin(), answer.scores.end());
    // The others' weights next to the best one's, by the highest of them: none becomes 0.
    double second = -INFINITY;
    for (auto score = answer.scores.begin(); score != answer.scores.end(); ++score)
      if (score != best) second = std::max(second, *score);
    double sum = 0;
    for (auto score = answer.scores.begin(); score != answer.scores.end(); ++score)
      if (score != best) sum += std::exp(beta * (*score - second));
    const double log_others = beta * (second - *best) + std::log(sum);
    const double log_all = log_others > 0 ? log_others + std::log1p(std::exp(-log_others))
                                          : std::log1p(std::exp(log_others));
    total += answer.right ? log_all : log_all - log_others;
  }
  return total;
}

}  // namespace

double fit_temperature(std::span<const ScoredAnswer> answers) {
  if (answers.empty()) return 1;
  // The sum need not have a single valley: the lowest place of a grid, then its surroundings.
  constexpr int kSteps = 92;
  const double low = std::log(kLeastTemperature), high = std::log(kMostTemperature);
  const auto place = [&](int step) { return low + (high - low) * step / kSteps; };
  int best = 0;
  double least = loss(answers, low);
  for (int step = 1; step <= kSteps; ++step)
    if (const double here = loss(answers, place(step)); here < least) {
      best = step;
      least = here;
    }
  // Golden section.
  constexpr double kRatio = 0.6180339887498949;
  constexpr int kCuts = 40;
  double begin = place(std::max(0, best - 1)), end = place(std::min(kSteps, best + 1));
  double left = end - kRatio * (end - begin), right = begin + kRatio * (end - begin);
  double left_loss = loss(answers, left), right_loss = loss(answers, right);
  for (int cut = 0; cut < kCuts; ++cut) {
    if (left_loss <= right_loss) {
      end = right;
      right = left;
      right_loss = left_loss;
      left = end - kRatio * (end - begin);
      left_loss = loss(answers, left);
    } else {
      begin = left;
      left = right;
      left_loss = right_loss;
      right = begin + kRatio * (end - begin);
      right_loss = loss(answers, right);
    }
  }
  const double found = (begin + end) / 2;
  if (least <= loss(answers, found)) {
    if (best == 0) return kLeastTemperature;
    if (best == kSteps) return kMostTemperature;
  }
  return std::exp(found);
}

}  // namespace dbsa
