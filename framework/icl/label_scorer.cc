#include "icl/label_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dbsa {

std::vector<double> log_softmax(std::span<const double> scores, double temperature) {
  std::vector<double> result(scores.begin(), scores.end());
  for (double& score : result) score /= temperature;
  const double highest = *std::max_element(result.begin(), result.end());
  double sum = 0;
  for (const double score : result) sum += std::exp(score - highest);
  for (double& score : result) score -= highest + std::log(sum);
  return result;
}

std::vector<double> log_mean_probabilities(std::span<const std::vector<double>> log_likelihoods) {
  std::vector<std::vector<double>> distributions;
  for (const std::vector<double>& one : log_likelihoods) distributions.push_back(log_softmax(one));
  const size_t labels = distributions.front().size();
  std::vector<double> mean(labels, -std::numeric_limits<double>::infinity());
  // By the highest of each label, so that none becomes 0.
  for (const std::vector<double>& one : distributions)
    for (size_t i = 0; i < labels; ++i) mean[i] = std::max(mean[i], one[i]);
  for (size_t i = 0; i < labels; ++i) {
    double sum = 0;
    for (const std::vector<double>& one : distributions) sum += std::exp(one[i] - mean[i]);
    mean[i] += std::log(sum / static_cast<double>(distributions.size()));
  }
  return mean;
}

LabelScoring::LabelScoring(LabelScorer scorer, std::span<const LabelTokens> tokens,
                           std::span<const std::string> names)
    : scorer_(scorer) {
  if (scorer == LabelScorer::kPerToken)
    for (const LabelTokens& label : tokens)
      lengths_.push_back(
          static_cast<double>(label.ids.size() + (label.terminator.empty() ? 0 : 1)));
  if (scorer == LabelScorer::kPerByte)
    for (const std::string& name : names) lengths_.push_back(static_cast<double>(name.size()));
}

std::vector<double> LabelScoring::prior(
    std::span<const std::vector<double>> log_likelihoods) const {
  if (scorer_ == LabelScorer::kPmi) return log_likelihoods.front();
  return log_mean_probabilities(log_likelihoods);
}

std::vector<double> LabelScoring::scores(std::span<const double> log_likelihoods,
                                         std::span<const double> prior) const {
  std::vector<double> result(log_likelihoods.begin(), log_likelihoods.end());
  switch (scorer_) {
    case LabelScorer::kSum:
      break;
    case LabelScorer::kPerToken:
    case LabelScorer::kPerByte:
      for (size_t i = 0; i < result.size(); ++i) result[i] /= lengths_[i];
      break;
    case LabelScorer::kPmi:
    case LabelScorer::kContextual:
    case LabelScorer::kBatch:
      for (size_t i = 0; i < result.size(); ++i) result[i] -= prior[i];
      break;
  }
  return result;
}

}  // namespace dbsa
