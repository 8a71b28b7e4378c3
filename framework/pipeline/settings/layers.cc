#include "pipeline/settings/layers.h"

#include <algorithm>
#include <limits>
#include <span>

#include "config/absolute_path.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void flatten(const TomlDocument& document, const json& table, const std::string& pointer,
             const std::string& prefix, KeyValues& out) {
  for (const auto& [key, value] : table.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    const std::string at = append_pointer(pointer, key);
    if (value.is_object())
      flatten(document, value, at, name, out);
    else
      out.push_back({name, value, document.place_with_file(at)});
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

// Pointers to the keys of a pipeline that go when `settings` are laid over it: a plugin's keys
// where another plugin is named, and those of plugins within it; of selection.ratio and
// selection.count the other one; beside prompt.demonstration the prefixes. Both at once are left
// for the check of the whole pipeline.
std::vector<std::string> displaced(const KeyValues& settings, const json& pipeline) {
  std::vector<std::string> pointers;
  const auto sets = [&](const char* key) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const KeyValue& setting) { return setting.key == key; });
  };
  if (sets("selection.ratio") != sets("selection.count"))
    pointers.push_back(sets("selection.ratio") ? "/selection/count" : "/selection/ratio");
  // The template says what the prefixes say.
  if (sets("prompt.demonstration") && !sets("prompt.input_prefix") && !sets("prompt.output_prefix"))
    pointers.insert(pointers.end(), {"/prompt/input_prefix", "/prompt/output_prefix"});
  for (const KeyValue& setting : settings) {
    std::vector<std::string> names = names_of(setting.key);
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
                   [&](const KeyValue& a, const KeyValue& b) { return rank(a.key) < rank(b.key); });
  return settings;
}

KeyValues flattened(const TomlDocument& document, const std::string& pointer) {
  KeyValues settings;
  const json::json_pointer at(pointer);
  if (document.json().contains(at) && document.json().at(at).is_object())
    flatten(document, document.json().at(at), pointer, "", settings);
  return plugins_first(std::move(settings));
}

Status lay_over(const KeyValues& settings, const fs::path& folder, TomlDocument& pipeline) {
  for (const std::string& pointer : displaced(settings, pipeline.json())) pipeline.erase(pointer);
  for (const auto& [key, given, place] : settings) {
    json value = given;
    if (value.is_string() && !value.get_ref<const std::string&>().empty() && is_path(key))
      value = absolute_path(folder / value.get<std::string>());
    if (const Status status = pipeline.put(names_of(key), std::move(value), place); !status.ok())
      return Error{ErrorCode::kConfig,
                   to_text(place) + ": " + (key.size() > 80 ? in_quotes(key) : key) + ": " +
                       status.error().message,
                   ""};
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
    settings.push_back({option.substr(0, equals), option.substr(equals + 1), {}});
  }
  for (const std::string& pointer : displaced(settings, pipeline.json())) pipeline.erase(pointer);
  for (const KeyValue& setting : plugins_first(std::move(settings)))
    DBSA_RETURN_IF_ERROR(pipeline.set(setting.key, setting.value.get<std::string>()));
  return {};
}

}  // namespace dbsa
