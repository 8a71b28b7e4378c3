#include "icl/paired_test.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <numeric>
#include <unordered_map>

namespace dbsa {

double mcnemar_exact(int64_t better, int64_t worse) {
  const auto fewer = static_cast<double>(std::min(better, worse));
  const auto all = static_cast<double>(better + worse);
  if (all <= 0) return 1;
  const boost::math::binomial_distribution<double> even(all, 0.5);
  return std::min(1.0, 2 * boost::math::cdf(even, fewer));
}

PairedTest paired_test(Layout own, Layout base) {
  std::unordered_map<uint64_t, double> differences;  // by text
  for (size_t i = 0; i < own.size() && i < base.size(); ++i)
    differences[own[i].column] += own[i].value - base[i].value;
  constexpr double kRounding = 1e-9;  // of sums of shares; a single answer counts far more
  PairedTest test;
  test.queries = static_cast<int64_t>(differences.size());
  for (const auto& [text, difference] : differences) {
    test.better += difference > kRounding ? 1 : 0;
    test.worse += difference < -kRounding ? 1 : 0;
  }
  test.p = test.p_holm = mcnemar_exact(test.better, test.worse);
  return test;
}

std::vector<double> holm_adjusted(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double most = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    most = std::max(most, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    adjusted[order[i]] = most;
  }
  return adjusted;
}

}  // namespace dbsa
