// The temperature of probabilities (Guo et al. 2017, arXiv 1706.04599), fitted to which answers
// were right.
#pragma once

#include <span>
#include <vector>

namespace dbsa {

inline constexpr double kLeastTemperature = 0.01;
inline constexpr double kMostTemperature = 100;

// The scores of all labels, and whether the one with the highest score is the right one.
struct ScoredAnswer {
  std::vector<double> scores;
  bool right = false;
};

// The temperature T in [kLeastTemperature, kMostTemperature] at which the probability p of each
// answer, the greatest of softmax(scores / T), says best whether it is right: of the least sum of
// -log p of right answers and -log (1 - p) of wrong ones. That of the labels themselves, which is
// what is fitted as a rule, is about all labels; where a model gives the wrong ones next to nothing
// it is far from the accuracy of answers. To about 1e-6 of T; a bound where all answers are right,
// where all are wrong, and where scores say nothing; 1 for none. Cost: O(scores), some 150 times.
double fit_temperature(std::span<const ScoredAnswer> answers);

}  // namespace dbsa
