#include "report/identity.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "pipeline/identity/identity.h"
#include "report/fields.h"
#include "report/input.h"

namespace dbsa {
namespace {

using nlohmann::json;

std::string one_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void erase_seeds(json& table) {
  if (!table.is_object()) return;
  table.erase("seed");
  for (auto& [key, value] : table.items()) erase_seeds(value);
}

// What records say as `outside_group` since they do.
void add_outside_group(const json& config, const std::string& name, std::set<std::string>& out) {
  if (!config.is_object()) return;
  for (const auto& [key, value] : config.items()) {
    const std::string dotted = name.empty() ? key : name + "." + key;
    if (key == "seed" || dotted == "output.directory" || dotted == "kv_store.path")
      out.insert(dotted);
    add_outside_group(value, dotted, out);
  }
}

// The configuration that answers depend on: not where files are written.
json config_of_answers(const json& config) {
  json out = config.is_object() ? config : json::object();
  out.erase("output");
  if (const auto store = out.find("kv_store"); store != out.end() && store->is_object())
    store->erase("path");
  return out;
}

// A key of the table data, where it is a T.
template <typename T>
T data_key(const ReportRun& run, const char* key, T otherwise) {
  const json* value = &run.config;
  for (const char* name : {"data", key}) {
    if (!value->is_object() || !value->contains(name)) return otherwise;
    value = &value->at(name);
  }
  const bool fits = std::is_same_v<T, std::string> ? value->is_string() : value->is_number();
  return fits ? value->get<T>() : otherwise;
}

bool is_drawn(const ReportRun& run) { return data_key<double>(run, "demonstration_count", 0) > 0; }

// All that group depends on but the demonstrations.
std::string base_of(const ReportRun& run) {
  const ReportIdentity& identity = run.identity;
  json config = config_of_answers(run.config);
  erase_seeds(config);
  std::vector<std::string> parts = {one_text(config)};
  for (const auto& [name, hash] : identity.inputs)
    // Labels of the demonstrations differ from draw to draw.
    if (name != "labels" || !data_key<std::string>(run, "labels", "").empty())
      parts.push_back(name + " " + hash);
  for (const PluginUse& plugin : identity.plugins)
    parts.push_back(plugin.stage + " " + plugin.id + " " + std::to_string(plugin.revision));
  return hash_list(parts);
}

}  // namespace

void read_identity(const ReportFields& fields, const std::string& queries,
                   ReportIdentity& identity) {
  const size_t plugins = fields.array("/plugins").size();
  for (size_t i = 0; i < plugins; ++i) {
    const std::string at = "/plugins/" + std::to_string(i);
    identity.plugins.push_back({fields.text(at + "/stage"), fields.text(at + "/id"),
                                fields.text(at + "/library_hash"),
                                fields.integer(at + "/revision")});
  }
  identity.pool_hash = fields.text("/encode/demonstrations_hash");
  if (fields.find("/identity/outside_group") != nullptr) {
    const size_t keys = fields.array("/identity/outside_group").size();
    for (size_t i = 0; i < keys; ++i)
      identity.outside_group.insert(fields.text("/identity/outside_group/" + std::to_string(i)));
  } else if (const json* config = fields.find("/config")) {
    add_outside_group(*config, "", identity.outside_group);
  }
  const json* recorded = fields.find("/identity");
  identity.recorded = recorded != nullptr && !recorded->is_null();
  if (identity.recorded) {
    identity.group = fields.text("/identity/group");
    identity.draw = fields.text("/identity/draw");
    identity.inputs = fields.texts_or_null("/identity/inputs");
    identity.stages = fields.texts_or_null("/identity/stages");
    return;
  }
  identity.inputs = {{"model", fields.text("/model/fingerprint")},
                     {"tokenizer", fields.text("/model/tokenizer")},
                     {"queries", queries}};
  std::vector<std::string> labels;
  const size_t count = fields.array("/encode/label_names").size();
  for (size_t i = 0; i < count; ++i)
    labels.push_back(fields.text("/encode/label_names/" + std::to_string(i)));
  identity.inputs["labels"] = hash_list(labels);
}

void complete_identities(std::span<ReportRun> runs) {
  // What runs of one base and seed have in their pools.
  std::map<std::string, std::map<uint64_t, std::set<std::string>>> pools;
  for (const ReportRun& run : runs)
    if (!run.identity.recorded) pools[base_of(run)][run.data_seed].insert(run.identity.pool_hash);
  for (ReportRun& run : runs) {
    ReportIdentity& identity = run.identity;
    if (identity.recorded) continue;
    const std::string base = base_of(run);
    const auto& seeds = pools.at(base);
    const bool several_files = std::any_of(seeds.begin(), seeds.end(),
                                           [](const auto& seed) { return seed.second.size() > 1; });
    const bool in_group = several_files || !is_drawn(run);
    identity.group = hash_list(std::vector{base, in_group ? identity.pool_hash : ""});
    identity.draw =
        hash_list(std::vector{base, one_text(config_of_answers(run.config)), identity.pool_hash});
    if (in_group) identity.inputs["demonstrations"] = identity.pool_hash;
  }
}

std::vector<std::string> short_hashes(const std::vector<std::string>& hashes) {
  size_t digits = 4;
  const std::set<std::string> whole(hashes.begin(), hashes.end());
  const auto cut = [&](const std::string& hash) {
    return hash.size() <= digits ? hash : hash.substr(0, digits) + "..";
  };
  const auto distinct = [&] {
    std::set<std::string> short_ones;
    for (const std::string& hash : whole) short_ones.insert(cut(hash));
    return short_ones.size() == whole.size();
  };
  while (!distinct()) ++digits;
  std::vector<std::string> out;
  for (const std::string& hash : hashes) out.push_back(cut(hash));
  return out;
}

}  // namespace dbsa
