#include "pipeline/sweep_layers.h"

#include <algorithm>
#include <limits>
#include <span>

#include "config/schema_check.h"
#include "config/toml_document.h"

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

// Drops the own keys of the plugin that a stage has, and those of plugins within it.
void drop_own_keys(std::span<const std::string> stage, json& table) {
  const json* schema = schema_of(stage);
  json kept = json::object();
  for (const auto& [name, value] : table.items())
    if (schema != nullptr && schema->at("properties").contains(name)) kept[name] = value;
  table = std::move(kept);
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
  const auto has = [&](const char* key) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const auto& setting) { return setting.first == key; });
  };
  // Both at once are left for the check of the whole pipeline.
  if (pipeline.contains("selection") && pipeline["selection"].is_object() &&
      has("selection.ratio") != has("selection.count"))
    pipeline["selection"].erase(has("selection.ratio") ? "count" : "ratio");
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
    if (names.size() > 1 && names.back() == "plugin")
      drop_own_keys(std::span(names).first(names.size() - 1), *table);
    (*table)[names.back()] = std::move(value);
  }
  return {};
}

}  // namespace dbsa
