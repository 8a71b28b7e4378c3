#include "pipeline/layers.h"

#include <algorithm>
#include <limits>
#include <span>

#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void flatten(const json& table, const std::string& prefix, KeyValues& out) {
  for (const auto& [key, value] : table.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object())
      flatten(value, name, out);
    else
      out.emplace_back(name, value);
  }
}

std::vector<std::string> names_of(const std::string& dotted) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= dotted.size();) {
    const size_t end = std::min(dotted.find('.', begin), dotted.size());
    names.push_back(dotted.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

// What the schema of pipelines says of a key; nullptr for plugins' own.
const json* schema_of(std::span<const std::string> names) {
  const json* schema = &pipeline_schema();
  for (const std::string& name : names) {
    if (!schema->contains("properties") || !schema->at("properties").contains(name)) return nullptr;
    schema = &schema->at("properties").at(name);
  }
  return schema;
}

// Of plugins' own keys, those called path.
bool is_path(const std::string& dotted) {
  const json* schema = schema_of(names_of(dotted));
  return schema != nullptr ? schema->value("format", "") == "path" : dotted.ends_with(".path");
}

// Pointers to the keys of a pipeline that go when `settings` are laid over it: the own keys of a
// plugin where another is named, and of plugins within it; of selection.ratio and selection.count
// the other one. Both at once are left for the check of the whole pipeline.
std::vector<std::string> displaced(const KeyValues& settings, const json& pipeline) {
  std::vector<std::string> pointers;
  const auto sets = [&](const char* key) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const auto& setting) { return setting.first == key; });
  };
  if (sets("selection.ratio") != sets("selection.count"))
    pointers.push_back(sets("selection.ratio") ? "/selection/count" : "/selection/ratio");
  for (const auto& [key, value] : settings) {
    std::vector<std::string> names = names_of(key);
    if (names.size() < 2 || names.back() != "plugin") continue;
    names.pop_back();
    std::string stage;
    const json* table = &pipeline;
    for (const std::string& name : names) {
      stage = append_pointer(stage, name);
      table = table->is_object() && table->contains(name) ? &table->at(name) : nullptr;
      if (table == nullptr) break;
    }
    if (table == nullptr || !table->is_object()) continue;
    const json* schema = schema_of(names);
    for (const auto& [name, kept] : table->items())
      if (schema == nullptr || !schema->value("properties", json::object()).contains(name))
        pointers.push_back(append_pointer(stage, name));
  }
  return pointers;
}

}  // namespace

KeyValues plugins_first(KeyValues settings) {
  const auto rank = [](const std::string& key) {
    return key.ends_with(".plugin") ? std::count(key.begin(), key.end(), '.')
                                    : std::numeric_limits<int64_t>::max();
  };
  std::stable_sort(settings.begin(), settings.end(),
                   [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
  return settings;
}

KeyValues flattened(const json& table) {
  KeyValues settings;
  flatten(table, "", settings);
  return plugins_first(std::move(settings));
}

std::string absolute_path(const fs::path& folder, const std::string& path) {
  return fs::absolute(folder / path).lexically_normal().string();
}

Status lay_over(const KeyValues& settings, const fs::path& folder, json& pipeline) {
  for (const std::string& pointer : displaced(settings, pipeline)) erase_at(pointer, pipeline);
  for (const auto& [key, given] : settings) {
    const std::vector<std::string> names = names_of(key);
    if (names.size() > static_cast<size_t>(TomlDocument::kMaxDepth))
      return Error{ErrorCode::kConfig, in_quotes(key) + ": the key has too many dots", ""};
    json* table = &pipeline;
    std::string table_name;
    for (size_t i = 0; i + 1 < names.size(); ++i) {
      table_name += (i > 0 ? "." : "") + names[i];
      table = &(*table)[names[i]];
      if (table->is_null()) *table = json::object();
      if (!table->is_object())
        return Error{ErrorCode::kConfig, key + ": " + table_name + " is not a table", ""};
    }
    json value = given;
    if (value.is_string() && !value.get_ref<const std::string&>().empty() && is_path(key))
      value = absolute_path(folder, value.get<std::string>());
    (*table)[names.back()] = std::move(value);
  }
  return {};
}

Status set_over(const std::vector<std::string>& options, TomlDocument& pipeline) {
  KeyValues settings;
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    if (equals == option.npos || equals == 0)
      return Error{ErrorCode::kConfig,
                   "--set " + option + ": expected KEY=VALUE, as in --set selection.ratio=0.5", ""};
    settings.emplace_back(option.substr(0, equals), option.substr(equals + 1));
  }
  for (const std::string& pointer : displaced(settings, pipeline.json())) pipeline.erase(pointer);
  for (const auto& [key, value] : plugins_first(std::move(settings)))
    DBSA_RETURN_IF_ERROR(pipeline.set(key, value.get<std::string>()));
  return {};
}

}  // namespace dbsa
