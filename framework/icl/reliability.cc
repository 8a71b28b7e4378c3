#include "icl/reliability.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dbsa {
namespace {

struct Shared {
  double probability;
  double accuracy;  // of all answers of this probability
};

// Ascending.
std::vector<Shared> sorted(std::span<const Confidence> answers) {
  std::vector<Shared> all;
  for (const Confidence& answer : answers)
    all.push_back({answer.probability, answer.right ? 1.0 : 0.0});
  std::sort(all.begin(), all.end(),
            [](const Shared& a, const Shared& b) { return a.probability < b.probability; });
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin;
    double right = 0;
    for (; end < all.size() && all[end].probability == all[begin].probability; ++end)
      right += all[end].accuracy;
    for (const size_t first = begin; begin < end; ++begin)
      all[begin].accuracy = right / static_cast<double>(end - first);
  }
  return all;
}

// The mean of |right answers / answers - mean probability| where each is right with its
// probability.
double error_by_chance(std::span<const Shared> bin) {
  const auto count = static_cast<double>(bin.size());
  double mean = 0, variance = 0;
  for (const Shared& answer : bin) {
    mean += answer.probability;
    variance += answer.probability * (1 - answer.probability);
  }
  // A sum of that many is normal to well below what is shown of it.
  constexpr size_t kMostExact = 4096;
  if (bin.size() > kMostExact) return std::sqrt(2 * variance / std::numbers::pi) / count;
  std::vector<double> right = {1};  // probability of so many right ones
  for (const Shared& answer : bin) {
    right.push_back(0);
    for (size_t k = right.size() - 1; k > 0; --k)
      right[k] = right[k] * (1 - answer.probability) + right[k - 1] * answer.probability;
    right[0] *= 1 - answer.probability;
  }
  double error = 0;
  for (size_t k = 0; k < right.size(); ++k)
    error += right[k] * std::fabs(static_cast<double>(k) - mean);
  return error / count;
}

}  // namespace

std::optional<Reliability> measure_reliability(std::span<const Confidence> answers) {
  if (answers.empty()) return {};
  const std::vector<Shared> all = sorted(answers);
  Reliability result;
  result.answers = static_cast<int64_t>(all.size());
  const int64_t bins = std::min(kReliabilityBins, result.answers);
  for (int64_t b = 0; b < bins; ++b) {
    const auto begin = static_cast<size_t>(b * result.answers / bins);
    const auto end = static_cast<size_t>((b + 1) * result.answers / bins);
    const std::span<const Shared> members = std::span(all).subspan(begin, end - begin);
    ReliabilityBin bin = {static_cast<int64_t>(members.size()), members.front().probability,
                          members.back().probability, 0, 0};
    for (const Shared& answer : members) {
      bin.confidence += answer.probability;
      bin.accuracy += answer.accuracy;
    }
    bin.confidence /= static_cast<double>(bin.answers);
    bin.accuracy /= static_cast<double>(bin.answers);
    const double share = static_cast<double>(bin.answers) / static_cast<double>(result.answers);
    result.error += share * std::fabs(bin.accuracy - bin.confidence);
    result.error_by_chance += share * error_by_chance(members);
    result.bins.push_back(bin);
  }
  return result;
}

std::vector<CoveragePoint> risk_coverage(std::span<const Confidence> answers) {
  constexpr int64_t kTenths = 10;
  const std::vector<Shared> all = sorted(answers);
  const auto count = static_cast<int64_t>(all.size());
  std::vector<CoveragePoint> points;
  for (int64_t tenths = kTenths; tenths > 0 && count > 0; --tenths) {
    const int64_t given = (count * tenths + kTenths - 1) / kTenths;
    CoveragePoint point = {static_cast<double>(given) / static_cast<double>(count), given,
                           all[static_cast<size_t>(count - given)].probability, 0};
    for (int64_t i = count - given; i < count; ++i)
      point.accuracy += all[static_cast<size_t>(i)].accuracy;
    point.accuracy /= static_cast<double>(given);
    points.push_back(point);
  }
  return points;
}

}  // namespace dbsa
