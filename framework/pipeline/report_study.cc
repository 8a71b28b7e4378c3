#include "pipeline/report_study.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace dbsa {
namespace {

template <typename Value>
std::vector<double> values_of(const std::vector<ReportRun>& runs, Value value) {
  std::vector<double> values;
  for (const ReportRun& run : runs)
    if (const std::optional<double> found = value(run)) values.push_back(*found);
  return values;
}

bool equal_seeds(const ReportRun& a, const ReportRun& b) {
  return a.data_seed == b.data_seed && a.grouper_seed == b.grouper_seed;
}

// What a run's answers depend on: its pipeline with all seeds, but not where its files lie.
std::string pipeline_of(const ReportRun& run) {
  nlohmann::json config = run.config;
  if (!config.is_object()) return run.path;
  config.erase("output");
  if (const auto store = config.find("kv_store"); store != config.end() && store->is_object())
    store->erase("path");
  return config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// All runs of one pipeline, seeds included: they repeat one draw of demonstrations, and a
// repetition says nothing of what other draws would give.
struct Draw {
  const ReportRun* run;  // the first
  double value;          // the mean over its runs
};

// In the order of their first runs.
template <typename Value>
std::vector<Draw> draws_of(const std::vector<ReportRun>& runs, Value value) {
  std::map<std::string, size_t> known;  // index into draws
  std::vector<std::pair<const ReportRun*, std::vector<double>>> draws;
  for (const ReportRun& run : runs) {
    const std::optional<double> found = value(run);
    if (!found) continue;
    const auto [it, is_new] = known.emplace(pipeline_of(run), draws.size());
    if (is_new) draws.push_back({&run, {}});
    draws[it->second].second.push_back(*found);
  }
  std::vector<Draw> means;
  for (const auto& [run, values] : draws) means.push_back({run, summarize(values)->mean});
  return means;
}

template <typename Value>
std::vector<double> values_of_draws(const std::vector<ReportRun>& runs, Value value) {
  std::vector<double> values;
  for (const Draw& draw : draws_of(runs, value)) values.push_back(draw.value);
  return values;
}

Summary summary_of(const std::vector<ReportRun>& runs, double ReportRun::*field) {
  return *summarize(
      values_of(runs, [&](const ReportRun& run) { return std::optional(run.*field); }));
}

double mean_of(const std::vector<ReportRun>& runs, double ReportRun::*field) {
  return summary_of(runs, field).mean;
}

std::optional<Summary> share_of(const std::vector<ReportRun>& runs,
                                std::optional<double> ReportRun::*field) {
  const auto summary =
      summarize(values_of_draws(runs, [&](const ReportRun& run) { return run.*field; }));
  return summary ? std::optional(clamped_to_share(*summary)) : std::nullopt;
}

Summary setup_of(const std::vector<ReportRun>& runs, bool& reused) {
  std::vector<double> whole, all;
  for (const ReportRun& run : runs) {
    all.push_back(run.setup);
    if (!run.reused) whole.push_back(run.setup);
  }
  reused = whole.empty();
  return *summarize(reused ? all : whole);
}

bool has_values(const AxisValues& values, const AxisValues& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
    const auto it = values.find(entry.first);
    return it != values.end() && it->second == entry.second;
  });
}

// ---- ratios
// --------------------------------------------------------------------------------------

using Pairs = std::vector<std::pair<double, double>>;

// `value` of the group's runs with `base_value` of the baseline's runs of equal seeds, each used
// once.
template <typename Value, typename BaseValue>
Pairs pair_runs(const ReportGroup& group, const ReportGroup& baseline, Value value,
                BaseValue base_value) {
  Pairs pairs;
  std::set<const ReportRun*> used;
  for (const ReportRun& run : group.runs) {
    const auto match = std::find_if(
        baseline.runs.begin(), baseline.runs.end(),
        [&](const ReportRun& other) { return equal_seeds(run, other) && !used.contains(&other); });
    if (match == baseline.runs.end()) continue;
    used.insert(&*match);
    const std::optional<double> own = value(run), base = base_value(*match);
    if (own && base) pairs.emplace_back(*own, *base);
  }
  return pairs;
}

// The same of draws.
template <typename Value>
Pairs pair_draws(const ReportGroup& group, const ReportGroup& baseline, Value value) {
  Pairs pairs;
  std::vector<Draw> base = draws_of(baseline.runs, value);
  for (const Draw& own : draws_of(group.runs, value)) {
    const auto match = std::find_if(base.begin(), base.end(), [&](const Draw& other) {
      return equal_seeds(*own.run, *other.run);
    });
    if (match == base.end()) continue;
    pairs.emplace_back(own.value, match->value);
    base.erase(match);
  }
  return pairs;
}

// Of the pairs; of the means where there are none.
std::optional<ReportRatio> ratio_of(const Pairs& pairs, const std::vector<double>& values,
                                    const std::vector<double>& base_values) {
  if (const auto ratio = summarize_ratios(pairs)) return ReportRatio{*ratio, true};
  const auto own = summarize(values), base = summarize(base_values);
  if (!own || !base || base->mean == 0) return {};
  return ReportRatio{Summary{1, own->mean / base->mean, {}, {}}, false};
}

void compare(ReportGroup& group, const ReportGroup& baseline) {
  const auto accuracy = [](const ReportRun& run) { return run.accuracy; };
  const auto request = [](const ReportRun& run) { return std::optional(run.request_mean); };
  // A setup that found blocks in the store is not the whole setup.
  const auto setup = [&](const ReportRun& run) {
    return group.setup_reused || !run.reused ? std::optional(run.setup) : std::nullopt;
  };
  group.accuracy_ratio =
      ratio_of(pair_draws(group, baseline, accuracy), values_of_draws(group.runs, accuracy),
               values_of_draws(baseline.runs, accuracy));
  const std::vector<double> base_requests = values_of(baseline.runs, request);
  group.request_ratio = ratio_of(pair_runs(group, baseline, request, request),
                                 values_of(group.runs, request), base_requests);
  group.setup_ratio = ratio_of(pair_runs(group, baseline, setup, request),
                               values_of(group.runs, setup), base_requests);
}

void compare_with_baseline(const AxisValues& baseline, std::vector<ReportGroup>& groups) {
  for (ReportGroup& group : groups) {
    AxisValues wanted = group.values;
    for (const auto& [axis, value] : baseline) wanted[axis] = value;
    const auto base = std::find_if(groups.begin(), groups.end(), [&](const ReportGroup& other) {
      return other.values == wanted;
    });
    group.is_baseline = group.values == wanted;
    if (base != groups.end() && !group.is_baseline) compare(group, *base);
  }
}

// ---- bundles, break-even, published figures
// ------------------------------------------------------

std::set<std::string> find_bundle_axes(const Study& study) {
  std::set<std::string> axes;
  if (study.input.baseline) {
    for (const SweepAxis& axis : study.input.axes)
      if (!study.input.baseline->contains(axis.name)) axes.insert(axis.name);
  } else if (study.numeric && study.numeric->series.size() > 1) {
    axes.insert(study.numeric->axis);
  }
  return axes;
}

std::vector<std::vector<size_t>> make_bundles(const std::vector<ReportGroup>& groups,
                                              const std::set<std::string>& axes) {
  std::vector<std::pair<AxisValues, std::vector<size_t>>> bundles;
  for (size_t i = 0; i < groups.size(); ++i) {
    AxisValues rest = groups[i].values;
    std::erase_if(rest, [&](const auto& entry) { return !axes.contains(entry.first); });
    auto it = std::find_if(bundles.begin(), bundles.end(),
                           [&](const auto& entry) { return entry.first == rest; });
    if (it == bundles.end()) it = bundles.insert(bundles.end(), {rest, {}});
    it->second.push_back(i);
  }
  std::vector<std::vector<size_t>> out;
  for (auto& [rest, members] : bundles) out.push_back(std::move(members));
  return out;
}

Cost cost_of(const ReportGroup& group) { return {group.setup.mean, group.request_mean.mean}; }

std::vector<BreakEven> find_break_even(const Study& study) {
  std::vector<BreakEven> found;
  for (const std::vector<size_t>& bundle : study.bundles)
    for (const size_t hasty : bundle)
      for (const size_t patient : bundle)
        if (const auto at =
                break_even(cost_of(study.groups[hasty]), cost_of(study.groups[patient])))
          found.push_back({hasty, patient, *at});
  std::stable_sort(found.begin(), found.end(), [](const BreakEven& a, const BreakEven& b) {
    return a.at.requests < b.at.requests;
  });
  return found;
}

std::optional<Summary> ours_of(const ReportGroup& group, const std::string& metric) {
  if (metric == "accuracy") return group.accuracy;
  const auto& ratio = metric == "request_ratio" ? group.request_ratio : group.setup_ratio;
  return ratio ? std::optional(ratio->value) : std::nullopt;
}

std::vector<PublishedRow> match_published(const Study& study) {
  std::vector<PublishedRow> rows;
  for (const PublishedFigure& figure : study.input.published)
    for (size_t i = 0; i < study.groups.size(); ++i)
      if (has_values(study.groups[i].values, figure.cell))
        rows.push_back({i, figure, ours_of(study.groups[i], figure.metric)});
  return rows;
}

// Place of a value on its axis; loose records may lack one.
size_t place_on(const SweepAxis& axis, const AxisValues& values) {
  const auto value = values.find(axis.name);
  if (value == values.end()) return axis.values.size();
  return static_cast<size_t>(std::find(axis.values.begin(), axis.values.end(), value->second) -
                             axis.values.begin());
}

}  // namespace

std::vector<ReportGroup> group_runs(std::vector<ReportRun> runs,
                                    const std::vector<SweepAxis>& axes) {
  std::vector<ReportGroup> groups;
  for (ReportRun& run : runs) {
    auto it = std::find_if(groups.begin(), groups.end(),
                           [&](const ReportGroup& group) { return group.values == run.values; });
    if (it == groups.end()) {
      it = groups.insert(groups.end(), ReportGroup{});
      it->values = run.values;
    }
    it->runs.push_back(std::move(run));
  }
  const auto places = [&](const ReportGroup& group) {
    std::vector<size_t> out;
    for (const SweepAxis& axis : axes) out.push_back(place_on(axis, group.values));
    return out;
  };
  std::stable_sort(groups.begin(), groups.end(), [&](const ReportGroup& a, const ReportGroup& b) {
    return places(a) < places(b);
  });
  return groups;
}

void fill_statistics(ReportGroup& group) {
  const std::vector<ReportRun>& runs = group.runs;
  group.accuracy = share_of(runs, &ReportRun::accuracy);
  if (group.accuracy && group.accuracy->count == 1)
    group.accuracy->interval = std::find_if(runs.begin(), runs.end(), [](const ReportRun& run) {
                                 return run.accuracy.has_value();
                               })->accuracy_95;
  group.macro_f1 = share_of(runs, &ReportRun::macro_f1);
  std::set<std::string> names;
  for (const ReportRun& run : runs)
    for (const auto& [name, value] : run.scores) names.insert(name);
  for (const std::string& name : names)
    group.scores[name] = *summarize(values_of_draws(runs, [&](const ReportRun& run) {
      const auto it = run.scores.find(name);
      return it == run.scores.end() ? std::nullopt : std::optional(it->second);
    }));
  group.request_mean = summary_of(runs, &ReportRun::request_mean);
  group.request_p50 = summary_of(runs, &ReportRun::request_p50);
  group.request_p95 = summary_of(runs, &ReportRun::request_p95);
  for (size_t stage = 0; stage < kStages.size(); ++stage)
    for (const ReportRun& run : runs)
      group.stages[stage] += run.stages[stage] / static_cast<double>(runs.size());
  group.setup = setup_of(runs, group.setup_reused);
  group.kv_bytes = mean_of(runs, &ReportRun::kv_bytes);
  group.peak_memory_bytes = mean_of(runs, &ReportRun::peak_memory_bytes);
  group.demonstrations = mean_of(runs, &ReportRun::demonstrations);
  group.blocks = mean_of(runs, &ReportRun::blocks);
  group.tokens = mean_of(runs, &ReportRun::tokens);
  group.selected_tokens = mean_of(runs, &ReportRun::selected_tokens);
}

namespace {

// A number says nothing without its axis.
std::string name_in_sweep(const std::string& axis, const std::string& value) {
  return as_number(value) ? axis + " " + value : value;
}

}  // namespace

std::string name_of_values(const AxisValues& values, const StudyInput& input,
                           const std::set<std::string>& skip) {
  std::string name;
  for (const SweepAxis& axis : input.axes) {
    const auto value = values.find(axis.name);
    if (value == values.end() || skip.contains(axis.name) || axis.values.size() < 2) continue;
    if (!name.empty()) name += input.is_sweep ? " · " : ", ";
    name +=
        input.is_sweep ? name_in_sweep(axis.name, value->second) : axis.name + "=" + value->second;
  }
  return name;
}

std::string bundle_name(const Study& study, size_t group) {
  if (study.bundles.size() < 2) return "";
  std::string name;
  const AxisValues& values = study.groups[group].values;
  for (const SweepAxis& axis : study.input.axes) {
    const auto value = values.find(axis.name);
    if (!study.bundle_axes.contains(axis.name) || value == values.end() || axis.values.size() < 2)
      continue;
    name += (name.empty() ? "" : ", ") + axis.name + ": " + value->second;
  }
  return name;
}

std::string name_in_bundle(const Study& study, size_t group, const std::string& skip) {
  std::set<std::string> common = study.bundle_axes;
  common.insert(skip);
  const std::string name = name_of_values(study.groups[group].values, study.input, common);
  return name.empty() ? study.groups[group].name : name;
}

Study analyse_study(StudyInput input) {
  Study study;
  study.run_count = static_cast<int64_t>(input.runs.size());
  if (!input.is_sweep) find_axes(input);
  study.groups = group_runs(std::move(input.runs), input.axes);
  input.runs.clear();
  for (ReportGroup& group : study.groups) {
    group.name = name_of_values(group.values, input);
    if (group.name.empty())
      group.name = std::filesystem::path(group.runs.front().pipeline).stem().string();
    fill_statistics(group);
  }
  if (input.baseline) compare_with_baseline(*input.baseline, study.groups);
  study.input = std::move(input);
  study.numeric = find_numeric_axis(study.groups, study.input.axes);
  study.bundle_axes = find_bundle_axes(study);
  study.bundles = make_bundles(study.groups, study.bundle_axes);
  study.break_even = find_break_even(study);
  study.published = match_published(study);
  return study;
}

}  // namespace dbsa
