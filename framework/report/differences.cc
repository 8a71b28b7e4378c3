// What groups of equal names differ in, said by name and value.
#include <algorithm>
#include <filesystem>
#include <set>

#include "report/study.h"

namespace dbsa {
namespace {

// Something that answers depend on, as a record says it.
struct Trait {
  std::string name, value;
  bool is_hash = false;
};
using Traits = std::vector<Trait>;

// Paths of what the hashes of inputs tell better.
bool is_input_path(const std::string& key) {
  return key == "model.path" || key == "embedding.path" || key == "data.demonstrations" ||
         key == "data.queries" || key == "data.labels";
}

Traits traits_of(const ReportRun& run) {
  Traits traits;
  for (const auto& [name, hash] : run.identity.inputs) traits.push_back({name, hash, true});
  for (const PluginUse& plugin : run.identity.plugins)
    traits.push_back({plugin.stage + " revision", std::to_string(plugin.revision), false});
  for (const auto& [key, value] : keys_of_groups(run))
    if (!is_input_path(key)) traits.push_back({key, value, false});
  return traits;
}

// What the hash of a stage is made of has no other name.
Traits stages_of(const ReportRun& run) {
  Traits traits;
  for (const auto& [stage, hash] : run.identity.stages) traits.push_back({stage, hash, true});
  return traits;
}

Traits whole_of(const ReportRun& run) { return {{"identity", run.identity.group, true}}; }

// The traits that are not equal in all runs, in order.
std::vector<Trait> differing(const std::vector<const ReportRun*>& runs,
                             Traits (*traits)(const ReportRun&)) {
  std::vector<Trait> order;
  std::map<std::string, std::set<std::string>> values;
  std::map<std::string, size_t> holders;
  for (const ReportRun* run : runs)
    for (const Trait& trait : traits(*run)) {
      if (!values.contains(trait.name)) order.push_back(trait);
      values[trait.name].insert(trait.value);
      ++holders[trait.name];
    }
  std::erase_if(order, [&](const Trait& trait) {
    return values[trait.name].size() == 1 && holders[trait.name] == runs.size();
  });
  return order;
}

// The differences that say the most: what is known by name; stages none of whose keys differ; all.
std::vector<Trait> differences_of(const std::vector<const ReportRun*>& runs) {
  std::vector<Trait> found = differing(runs, traits_of);
  for (const Trait& stage : differing(runs, stages_of))
    if (std::none_of(found.begin(), found.end(), [&](const Trait& trait) {
          return trait.name == stage.name || trait.name.starts_with(stage.name + ".") ||
                 trait.name.starts_with(stage.name + " ");
        }))
      found.push_back(stage);
  return found.empty() ? differing(runs, whole_of) : found;
}

std::string value_in(const ReportRun& run, const std::string& name) {
  for (auto* traits : {traits_of, stages_of, whole_of})
    for (const Trait& trait : traits(run))
      if (trait.name == name) return trait.value;
  return "";
}

// Groups of equal values, where there are several: the first runs of each.
std::vector<std::vector<const ReportRun*>> groups_of_one_name(
    const std::vector<ReportGroup>& groups) {
  std::map<AxisValues, std::vector<const ReportRun*>> by_values;
  for (const ReportGroup& group : groups) by_values[group.values].push_back(&group.runs.front());
  std::vector<std::vector<const ReportRun*>> out;
  for (auto& [values, runs] : by_values)
    if (runs.size() > 1) out.push_back(std::move(runs));
  return out;
}

// What groups show of a trait.
std::map<std::string, std::string> shown_values(const Trait& trait,
                                                const std::vector<ReportGroup>& groups) {
  std::vector<std::string> values;
  for (const ReportGroup& group : groups)
    if (std::string value = value_in(group.runs.front(), trait.name); !value.empty())
      values.push_back(std::move(value));
  const std::vector<std::string> shown = trait.is_hash ? short_hashes(values) : values;
  std::map<std::string, std::string> out;
  for (size_t i = 0; i < values.size(); ++i) out[values[i]] = shown[i];
  return out;
}

// A name that no axis has.
std::string free_name(std::string name, const std::vector<SweepAxis>& axes) {
  while (std::any_of(axes.begin(), axes.end(),
                     [&](const SweepAxis& axis) { return axis.name == name; }))
    name += " found";
  return name;
}

std::string note_on(const std::vector<const ReportRun*>& runs, const StudyInput& input,
                    const std::map<std::string, std::map<std::string, std::string>>& shown) {
  std::string name = name_of_values(runs.front()->values, input);
  if (name.empty()) name = std::filesystem::path(runs.front()->pipeline).stem().string();
  std::string text;
  for (const Trait& trait : differences_of(runs)) {
    std::vector<std::string> values;
    for (const ReportRun* run : runs) {
      const std::string value = value_in(*run, trait.name);
      std::string word = value.empty() ? "none" : shown.at(trait.name).at(value);
      if (std::find(values.begin(), values.end(), word) == values.end())
        values.push_back(std::move(word));
    }
    text += (text.empty() ? "" : ", ") + trait.name;
    for (size_t i = 0; i < values.size(); ++i) text += (i > 0 ? " / " : " ") + values[i];
  }
  return "Split: " + name + " is " + std::to_string(runs.size()) +
         " groups, because its runs do not answer the same question in the same way: " + text + ".";
}

}  // namespace

void name_differences(std::vector<ReportGroup>& groups, StudyInput& input,
                      std::vector<std::string>& notes) {
  const auto clashes = groups_of_one_name(groups);
  std::vector<Trait> traits;
  for (const auto& runs : clashes)
    for (const Trait& trait : differences_of(runs))
      if (std::none_of(traits.begin(), traits.end(),
                       [&](const Trait& known) { return known.name == trait.name; }))
        traits.push_back(trait);
  std::map<std::string, std::map<std::string, std::string>> shown;
  for (const Trait& trait : traits) shown[trait.name] = shown_values(trait, groups);
  for (const auto& runs : clashes) notes.push_back(note_on(runs, input, shown));
  for (const Trait& trait : traits) {
    SweepAxis axis{free_name(trait.name, input.axes), {}, true};
    for (ReportGroup& group : groups) {
      const std::string value = value_in(group.runs.front(), trait.name);
      const std::string word = value.empty() ? "none" : shown.at(trait.name).at(value);
      group.values[axis.name] = word;
      if (std::find(axis.values.begin(), axis.values.end(), word) == axis.values.end())
        axis.values.push_back(word);
    }
    input.axes.push_back(std::move(axis));
  }
}

}  // namespace dbsa
