#include "sweep/tune_space.h"

#include <dbsa/plugin.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "config/json_pointer.h"

namespace dbsa {
namespace {

using nlohmann::json;

class Space {
 public:
  Space(const host::ResolvedPipeline& start, host::PluginRegistry& registry)
      : start_(start), registry_(registry) {}

  // Other values than the start's own.
  void add(const std::string& key, const std::vector<json>& values) {
    const json::json_pointer at(pointer_of_key(key));
    const json own = start_.json.contains(at) ? start_.json.at(at) : json();
    for (const json& value : values) {
      if (value == own) continue;
      TuneChange change = {
          key,
          key + " = " + (value.is_string() ? value.get<std::string>() : value.dump()),
          {{key, value, {}}}};
      if (changed_pipeline(start_.document, change.settings, registry_).ok())
        changes_.push_back(std::move(change));
    }
  }

  // The first of each key, then the second, and so on: time that ends early leaves out no key.
  std::vector<TuneChange> take() {
    std::map<std::string, int> seen;
    std::vector<std::pair<int, TuneChange>> ranked;
    for (TuneChange& change : changes_) {
      const int rank = seen[change.key]++;
      ranked.emplace_back(rank, std::move(change));
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<TuneChange> out;
    for (auto& [rank, change] : ranked) out.push_back(std::move(change));
    return out;
  }

 private:
  const host::ResolvedPipeline& start_;
  host::PluginRegistry& registry_;
  std::vector<TuneChange> changes_;
};

// Half, twice, a quarter and four times, within bounds: the nearest first.
std::vector<json> around(int64_t value, int64_t least, int64_t most) {
  std::vector<json> out;
  for (const int64_t other : {value / 2, 2 * value, value / 4, 4 * value})
    if (other >= least && other <= most) out.emplace_back(other);
  return out;
}

// Shares that are not nearly the start's own, the nearest first.
std::vector<json> shares(double own) {
  std::vector<double> near = {0.1, 0.2, 0.3, 0.5, 0.75, 1.0};
  std::erase_if(near, [&](double share) { return std::abs(share - own) <= 0.1 * own; });
  const auto distance = [&](double share) { return std::abs(std::log(share / own)); };
  std::stable_sort(near.begin(), near.end(),
                   [&](double a, double b) { return distance(a) < distance(b); });
  return {near.begin(), near.end()};
}

std::vector<json> retrievers(const host::PluginRegistry& registry, const json& own) {
  std::vector<json> names;
  for (const host::Manifest& manifest : registry.manifests())
    if (manifest.kind == DBSA_KIND_RETRIEVER && manifest.id != own)
      names.emplace_back(registry.name_of(manifest));
  return names;
}

}  // namespace

Result<host::ResolvedPipeline> changed_pipeline(const TomlDocument& start,
                                                const KeyValues& settings,
                                                host::PluginRegistry& registry) {
  TomlDocument document = start;
  DBSA_RETURN_IF_ERROR(lay_over(settings, start.directory(), document));
  DBSA_ASSIGN_OR_RETURN(host::ResolvedPipeline resolved,
                        host::resolve_pipeline(std::move(document), registry));
  const Result<Settings> settled = read_settings(resolved.json);
  if (!settled.ok()) return settled.error();
  DBSA_RETURN_IF_ERROR(host::check_plugins(resolved, registry));
  return resolved;
}

Result<std::vector<TuneChange>> tune_changes(const host::ResolvedPipeline& start,
                                             host::PluginRegistry& registry,
                                             int64_t demonstrations) {
  DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(start.json));
  if (is_zero_shot(settings.selection))
    return start.fault(
        "/selection/count",
        "0 shows no demonstrations, so there is nothing to tune; set selection.ratio, "
        "0.3 for example");
  Space space(start, registry);
  if (settings.selection.ratio)
    space.add("selection.ratio", shares(*settings.selection.ratio));
  else
    space.add("selection.count", around(*settings.selection.count, 1, demonstrations));
  space.add("retriever.unit", {"block", "demonstration"});
  space.add("retriever.plugin", retrievers(registry, start.json.at("retriever").at("plugin")));
  if (settings.decoding.method == DecodingMethod::kLikelihood)
    space.add("decoding.scorer", {"sum", "per_token", "per_byte", "pmi", "contextual", "batch"});
  space.add("selection.order", {"index", "low_to_high", "high_to_low", "middle", "reversed"});
  space.add("block_grouper.block_size",
            around(settings.grouper.block_size, 1, std::max<int64_t>(1, demonstrations / 4)));
  return space.take();
}

}  // namespace dbsa
