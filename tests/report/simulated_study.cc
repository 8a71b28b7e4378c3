#include "tests/report/simulated_study.h"

#include <array>
#include <cmath>
#include <optional>
#include <random>

#include "report/study.h"

namespace dbsa {
namespace {

constexpr double kQuerySpread = 1.5, kOwnQuerySpread = 0.7;       // of logits
constexpr double kLength = 0.4, kOwnLength = 0.1, kNoise = 0.05;  // of log times
constexpr double kRatio = 0.3;                                    // of the methods' mean times

double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

// Mean of f over a normal variable of that spread.
template <typename Function>
double mean_over_normal(double spread, Function f) {
  constexpr int kPoints = 61;
  double sum = 0, weights = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double z = 6.0 * (2.0 * i / (kPoints - 1) - 1);
    const double weight = std::exp(-z * z / 2);
    sum += weight * f(spread * z);
    weights += weight;
  }
  return sum / weights;
}

// The x in [low, high] at which the growing f is `wanted`.
template <typename Function>
double solve_for(double wanted, double low, double high, Function f) {
  for (int step = 0; step < 50; ++step) {
    const double middle = (low + high) / 2;
    (f(middle) < wanted ? low : high) = middle;
  }
  return (low + high) / 2;
}

// Logits of one method.
struct Method {
  double level = 0;        // m
  double draw_spread = 0;  // of a draw's effect

  // Over all queries, with a draw of that effect.
  double accuracy(double draw) const {
    return mean_over_normal(std::hypot(kQuerySpread, kOwnQuerySpread),
                            [&](double query) { return sigmoid(level + draw + query); });
  }
};

Method method_of(double accuracy, double deviation) {
  Method method;
  const auto fit_level = [&] {
    method.level = solve_for(accuracy, -20, 20, [&](double level) {
      const double spread = std::hypot(method.draw_spread, kQuerySpread, kOwnQuerySpread);
      return mean_over_normal(spread, [&](double effect) { return sigmoid(level + effect); });
    });
  };
  method.draw_spread = solve_for(deviation, 0, 8, [&](double spread) {
    method.draw_spread = spread;
    fit_level();
    return std::sqrt(mean_over_normal(spread, [&](double draw) {
      const double off = method.accuracy(draw) - accuracy;
      return off * off;
    }));
  });
  fit_level();
  return method;
}

using Both = std::array<double, 2>;  // of the two methods

struct Effects {
  std::vector<Both> answers, times;
};

// One study, and what is true of it.
class SimulatedStudy {
 public:
  SimulatedStudy(const Scenario& scenario, const std::array<Method, 2>& methods,
                 std::mt19937_64& random)
      : scenario_(scenario), methods_(methods), random_(random) {
    make_effects();
    for (size_t draw = 0; draw < scenario.draws; ++draw)
      for (size_t query = 0; query < scenario.queries; ++query) add_cell(draw, query);
  }

  // Adds to the coverage; counts, not shares.
  void judge(Coverage& coverage) {
    const double accuracy = mean_of_cells(accuracy_), other = mean_of_cells(other_accuracy_);
    Both truth = {scenario_.accuracy, scenario_.accuracy - 0.05};
    double true_ratio = kRatio;
    if (scenario_.draws < kFewDraws) given_draws(truth, true_ratio);
    const double ratio = mean_of_cells(own_times_) / mean_of_cells(base_times_);
    own_times_ = relative_deviations(std::move(own_times_));
    base_times_ = relative_deviations(std::move(base_times_));
    for (size_t i = 0; i < own_times_.size(); ++i) own_times_[i].value -= base_times_[i].value;
    coverage.accuracy +=
        holds(accuracy_interval(accuracy, accuracy_), accuracy, truth[0], 0, 1, coverage);
    coverage.difference +=
        holds(difference_interval({accuracy, accuracy_}, {other, other_accuracy_}),
              accuracy - other, truth[0] - truth[1], -1, 1, coverage);
    coverage.ratio +=
        holds(positive_interval(ratio, own_times_), ratio, true_ratio, 1e-9, 1e9, coverage);
  }

 private:
  double normal(double spread) { return spread * normal_(random_); }

  void make_effects() {
    for (size_t draw = 0; draw < scenario_.draws; ++draw) {
      const double common = normal(std::sqrt(0.5));
      Both answers, times;
      for (size_t m = 0; m < 2; ++m) {
        answers[m] = methods_[m].draw_spread * (common + normal(std::sqrt(0.5)));
        times[m] = normal(scenario_.deviation);
      }
      draws_.answers.push_back(answers);
      draws_.times.push_back(times);
    }
    for (size_t query = 0; query < scenario_.queries; ++query) {
      const double common = normal(kQuerySpread), length = normal(kLength);
      queries_.answers.push_back(
          {common + normal(kOwnQuerySpread), common + normal(kOwnQuerySpread)});
      queries_.times.push_back({length + normal(kOwnLength), length + normal(kOwnLength)});
    }
  }

  void add_cell(size_t draw, size_t query) {
    Both right, seconds;
    for (size_t m = 0; m < 2; ++m) {
      const double logit = methods_[m].level + draws_.answers[draw][m] + queries_.answers[query][m];
      right[m] = uniform_(random_) < sigmoid(logit) ? 1 : 0;
      seconds[m] = (m == 0 ? kRatio : 1) *
                   std::exp(draws_.times[draw][m] + queries_.times[query][m] + normal(kNoise));
    }
    accuracy_.push_back({draw, query, right[0]});
    other_accuracy_.push_back({draw, query, right[1]});
    own_times_.push_back({draw, query, seconds[0]});
    base_times_.push_back({draw, query, seconds[1]});
  }

  // The truth over all queries, with the draws that there are.
  void given_draws(Both& accuracy, double& ratio) const {
    accuracy = {0, 0};
    Both times = {0, 0};
    for (size_t draw = 0; draw < scenario_.draws; ++draw)
      for (size_t m = 0; m < 2; ++m) {
        accuracy[m] +=
            methods_[m].accuracy(draws_.answers[draw][m]) / static_cast<double>(scenario_.draws);
        times[m] += std::exp(draws_.times[draw][m]);
      }
    ratio = kRatio * times[0] / times[1];
  }

  static double mean_of_cells(const std::vector<LayoutCell>& cells) {
    double sum = 0;
    for (const LayoutCell& cell : cells) sum += cell.value;
    return sum / static_cast<double>(cells.size());
  }

  static double holds(const std::optional<CoveredInterval>& found, double mean, double truth,
                      double low, double high, Coverage& coverage) {
    if (!found) {
      ++coverage.faults;
      return 0;
    }
    const Interval& interval = found->interval;
    if (!(interval.low < interval.high) || interval.low < low || interval.high > high ||
        mean < interval.low || mean > interval.high)
      ++coverage.faults;
    return interval.low <= truth && truth <= interval.high ? 1 : 0;
  }

  const Scenario& scenario_;
  const std::array<Method, 2>& methods_;
  std::mt19937_64& random_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_;
  Effects draws_, queries_;
  std::vector<LayoutCell> accuracy_, other_accuracy_, own_times_, base_times_;
};

}  // namespace

Coverage measure_coverage(const Scenario& scenario, int64_t studies, uint64_t seed) {
  const std::array<Method, 2> methods = {method_of(scenario.accuracy, scenario.deviation),
                                         method_of(scenario.accuracy - 0.05, scenario.deviation)};
  std::mt19937_64 random(seed);
  Coverage coverage;
  for (int64_t study = 0; study < studies; ++study)
    SimulatedStudy(scenario, methods, random).judge(coverage);
  for (double* share : {&coverage.accuracy, &coverage.difference, &coverage.ratio})
    *share /= static_cast<double>(studies);
  return coverage;
}

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> scenarios;
  for (const size_t draws : {1, 2, 3, 10})
    for (const size_t queries : {25, 250})
      for (const double accuracy : {0.5, 0.95})
        for (const double deviation : {0.005, 0.08})
          scenarios.push_back({draws, queries, accuracy, deviation});
  return scenarios;
}

}  // namespace dbsa
