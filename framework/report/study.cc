#include "report/study.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace dbsa {
namespace {

bool has_values(const AxisValues& values, const AxisValues& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
    const auto it = values.find(entry.first);
    return it != values.end() && it->second == entry.second;
  });
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

// Numbers the names that groups have in their bundles, in order.
size_t number_methods(Study& study) {
  std::map<std::string, size_t> known;
  for (ReportGroup& group : study.groups)
    group.method =
        known.emplace(name_of_values(group.values, study.input, study.bundle_axes), known.size())
            .first->second;
  return known.size();
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
  std::map<std::pair<AxisValues, std::string>, size_t> known;  // index into groups
  for (ReportRun& run : runs) {
    const auto [it, is_new] =
        known.emplace(std::pair(run.values, run.identity.group), groups.size());
    if (is_new) groups.emplace_back().values = run.values;
    groups[it->second].runs.push_back(std::move(run));
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

namespace {

// A number or a hash says nothing without its axis; nor does any value of a loose record.
std::string named_value(const SweepAxis& axis, const std::string& value, bool is_sweep) {
  if (axis.is_identity || (is_sweep && as_number(value))) return axis.name + " " + value;
  return is_sweep ? value : axis.name + "=" + value;
}

}  // namespace

std::string name_of_values(const AxisValues& values, const StudyInput& input,
                           const std::set<std::string>& skip) {
  std::string name;
  for (const SweepAxis& axis : input.axes) {
    const auto value = values.find(axis.name);
    if (value == values.end() || skip.contains(axis.name) || axis.values.size() < 2) continue;
    if (!name.empty()) name += input.is_sweep ? " · " : ", ";
    name += named_value(axis, value->second, input.is_sweep);
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
  complete_identities(input.runs);
  if (!input.is_sweep) find_axes(input);
  study.groups = group_runs(std::move(input.runs), input.axes);
  input.runs.clear();
  name_differences(study.groups, input, study.notes);
  for (ReportGroup& group : study.groups) {
    group.name = name_of_values(group.values, input);
    if (group.name.empty())
      group.name = std::filesystem::path(group.runs.front().pipeline).stem().string();
    fill_statistics(group);
  }
  add_notes(study.groups, study.notes);
  if (input.baseline) compare_with_baseline(input, study.groups);
  study.input = std::move(input);
  study.numeric = find_numeric_axis(study.groups, study.input.axes);
  study.bundle_axes = find_bundle_axes(study);
  study.bundles = make_bundles(study.groups, study.bundle_axes);
  study.methods = number_methods(study);
  study.break_even = find_break_even(study);
  study.published = match_published(study);
  return study;
}

}  // namespace dbsa
