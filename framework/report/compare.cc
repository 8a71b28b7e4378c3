// Groups against their baseline, over pairs of runs or draws of equal seeds and over the queries
// that both answered.
#include <algorithm>
#include <set>

#include "report/study.h"

namespace dbsa {
namespace {

bool equal_seeds(const ReportRun& a, const ReportRun& b) {
  return a.data_seed == b.data_seed && a.grouper_seed == b.grouper_seed;
}

// Cells of the queries that both answered, in the same order.
void add_common(QueryValues own, QueryValues base, size_t row, std::vector<LayoutCell>& own_cells,
                std::vector<LayoutCell>& base_cells) {
  std::erase_if(own, [&](const auto& value) { return !base.contains(value.first); });
  std::erase_if(base, [&](const auto& value) { return !own.contains(value.first); });
  for (const LayoutCell& cell : cells_of(own, row)) own_cells.push_back(cell);
  for (const LayoutCell& cell : cells_of(base, row)) base_cells.push_back(cell);
}

// ---- accuracy
// ------------------------------------------------------------------------------------

using DrawPairs = std::vector<std::pair<Draw, Draw>>;

// Each draw is used once.
DrawPairs pair_draws(const std::vector<Draw>& draws, std::vector<Draw> others) {
  DrawPairs pairs;
  for (const Draw& own : draws) {
    const auto match = std::find_if(others.begin(), others.end(), [&](const Draw& other) {
      return equal_seeds(*own.runs.front(), *other.runs.front());
    });
    if (match == others.end()) continue;
    pairs.emplace_back(own, *match);
    others.erase(match);
  }
  return pairs;
}

double mean_over(const std::vector<Draw>& draws) {
  double sum = 0;
  for (const Draw& draw : draws) sum += draw.value;
  return sum / static_cast<double>(draws.size());
}

std::optional<Comparison> accuracy_difference(const ReportGroup& group,
                                              const ReportGroup& baseline) {
  const auto accuracy = [](const ReportRun& run) { return run.accuracy; };
  const std::vector<Draw> own = draws_of(group.runs, accuracy);
  const std::vector<Draw> base = draws_of(baseline.runs, accuracy);
  if (own.empty() || base.empty()) return {};
  const DrawPairs pairs = pair_draws(own, base);
  if (pairs.empty())
    return Comparison{Summary{1, mean_over(own) - mean_over(base), {}, {}, {}}, false, {}};
  std::vector<double> differences;
  std::vector<LayoutCell> own_cells, base_cells;  // of the queries that both answered
  double own_sum = 0, base_sum = 0;
  for (size_t row = 0; row < pairs.size(); ++row) {
    own_sum += pairs[row].first.value;
    base_sum += pairs[row].second.value;
    differences.push_back(pairs[row].first.value - pairs[row].second.value);
    add_common(correct_answers(pairs[row].first), correct_answers(pairs[row].second), row,
               own_cells, base_cells);
  }
  const auto count = static_cast<double>(pairs.size());
  Summary summary = *summarize(differences);
  set_interval(summary,
               difference_interval({own_sum / count, own_cells}, {base_sum / count, base_cells}));
  Comparison comparison{summary, true, {}};
  if (!own_cells.empty()) comparison.test = paired_test(own_cells, base_cells);
  return comparison;
}

// ---- times
// ---------------------------------------------------------------------------------------

struct RunPair {
  const ReportRun *own, *base;
};

// Each run is used once.
std::vector<RunPair> pair_runs(const std::vector<const ReportRun*>& runs,
                               const std::vector<ReportRun>& others) {
  std::vector<RunPair> pairs;
  std::set<const ReportRun*> used;
  for (const ReportRun* run : runs) {
    const auto match = std::find_if(others.begin(), others.end(), [&](const ReportRun& other) {
      return equal_seeds(*run, other) && !used.contains(&other);
    });
    if (match == others.end()) continue;
    used.insert(&*match);
    pairs.push_back({run, &*match});
  }
  return pairs;
}

// Relative deviations of own times less those of the baseline's, whose spread is that of the
// logarithm of the ratio of their means. The whole of a setup stands beside every query.
std::vector<LayoutCell> ratio_cells(const std::vector<RunPair>& pairs, bool is_setup) {
  std::vector<LayoutCell> own, base;
  for (size_t row = 0; row < pairs.size(); ++row) {
    const QueryValues times = answer_seconds(*pairs[row].base);
    QueryValues setups = times;
    for (auto& [query, setup] : setups) setup.value = pairs[row].own->setup;
    add_common(is_setup ? setups : answer_seconds(*pairs[row].own), times, row, own, base);
  }
  own = relative_deviations(std::move(own));
  base = relative_deviations(std::move(base));
  if (own.size() != base.size()) return {};
  for (size_t i = 0; i < own.size(); ++i) own[i].value -= base[i].value;
  return own;
}

double mean_time(const std::vector<RunPair>& pairs, const ReportRun* RunPair::*run,
                 double ReportRun::*time) {
  double mean = 0;
  for (const RunPair& pair : pairs) mean += pair.*run->*time / static_cast<double>(pairs.size());
  return mean;
}

// The ratio of the mean of `time` to the baseline's mean time of a request.
std::optional<Comparison> time_ratio(const std::vector<const ReportRun*>& runs,
                                     const std::vector<ReportRun>& base_runs,
                                     double ReportRun::*time) {
  std::vector<RunPair> pairs = pair_runs(runs, base_runs);
  std::erase_if(pairs, [](const RunPair& pair) { return pair.base->request_mean <= 0; });
  if (pairs.empty()) {
    double own = 0, base = 0;
    for (const ReportRun* run : runs) own += run->*time / static_cast<double>(runs.size());
    for (const ReportRun& run : base_runs)
      base += run.request_mean / static_cast<double>(base_runs.size());
    if (base <= 0) return {};
    return Comparison{Summary{1, own / base, {}, {}, {}}, false, {}};
  }
  const bool is_setup = time == &ReportRun::setup;
  std::vector<double> ratios;
  for (const RunPair& pair : pairs) ratios.push_back(pair.own->*time / pair.base->request_mean);
  Summary summary = *summarize(ratios);
  summary.mean = mean_time(pairs, &RunPair::own, time) /
                 mean_time(pairs, &RunPair::base, &ReportRun::request_mean);
  // Only runs repeat a setup.
  if (!is_setup || pairs.size() >= kFewDraws)
    set_interval(summary, positive_interval(summary.mean, ratio_cells(pairs, is_setup)));
  return Comparison{summary, true, {}};
}

void compare(ReportGroup& group, const ReportGroup& baseline) {
  std::vector<const ReportRun*> all, whole_setup;
  for (const ReportRun& run : group.runs) {
    all.push_back(&run);
    // A setup that found blocks in the store is not the whole setup.
    if (group.setup_reused || !run.reused) whole_setup.push_back(&run);
  }
  group.accuracy_difference = accuracy_difference(group, baseline);
  group.request_ratio = time_ratio(all, baseline.runs, &ReportRun::request_mean);
  group.setup_ratio = time_ratio(whole_setup, baseline.runs, &ReportRun::setup);
}

// ---- which group is the baseline
// -----------------------------------------------------------------

std::string queries_of(const ReportGroup& group) {
  const auto& inputs = group.runs.front().identity.inputs;
  const auto it = inputs.find("queries");
  return it == inputs.end() ? "" : it->second;
}

// The group with these values. Where only what was found in identities stands against it, the one
// that has the others and was asked the same.
const ReportGroup* find_baseline(const ReportGroup& group, const AxisValues& wanted,
                                 const StudyInput& input, const std::vector<ReportGroup>& groups) {
  const auto without_identity = [&](AxisValues values) {
    for (const SweepAxis& axis : input.axes)
      if (axis.is_identity) values.erase(axis.name);
    return values;
  };
  std::vector<const ReportGroup*> near;
  for (const ReportGroup& other : groups) {
    if (other.values == wanted) return &other;
    if (without_identity(other.values) == without_identity(wanted) &&
        queries_of(other) == queries_of(group))
      near.push_back(&other);
  }
  return near.size() == 1 ? near.front() : nullptr;
}

// For tests with one baseline.
void adjust_tests(const std::vector<PairedTest*>& tests) {
  std::vector<double> p;
  for (const PairedTest* test : tests) p.push_back(test->p);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (size_t i = 0; i < tests.size(); ++i) {
    tests[i]->p_holm = adjusted[i];
    tests[i]->comparisons = static_cast<int64_t>(tests.size());
  }
}

}  // namespace

void compare_with_baseline(const StudyInput& input, std::vector<ReportGroup>& groups) {
  std::map<const ReportGroup*, std::vector<PairedTest*>> tests;  // by baseline
  for (ReportGroup& group : groups) {
    AxisValues wanted = group.values;
    for (const auto& [axis, value] : *input.baseline) wanted[axis] = value;
    group.is_baseline = group.values == wanted;
    if (group.is_baseline) continue;
    const ReportGroup* base = find_baseline(group, wanted, input, groups);
    if (base == nullptr) continue;
    compare(group, *base);
    if (group.accuracy_difference && group.accuracy_difference->test)
      tests[base].push_back(&*group.accuracy_difference->test);
  }
  for (const auto& [base, family] : tests) adjust_tests(family);
}

}  // namespace dbsa
