#include "host/resolve.h"

#include <filesystem>

#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "host/instance.h"

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kDefaultRatio = 0.3;

// A stage's plugin name: what the file says, else the schema's default; "" if it is no string.
std::string plugin_name(const json& pipeline, const std::string& stage) {
  const json& properties = pipeline_schema().at("properties").at(stage).at("properties");
  const auto table = pipeline.find(stage);
  if (table == pipeline.end() || !table->is_object() || !table->contains("plugin"))
    return properties.at("plugin").at("default");
  const json& name = table->at("plugin");
  return name.is_string() ? name.get<std::string>() : "";
}

// The stage's own schema and the plugin's as one. A stage with required keys is required itself.
void merge_schema(json& pipeline, const std::string& stage, const json& plugin) {
  json& table = pipeline["properties"][stage];
  table["additionalProperties"] = false;
  table["properties"].update(plugin.at("properties"));
  table["required"] = plugin.at("required");
  if (!table["required"].empty()) pipeline["required"].push_back(stage);
}

std::string absolute_path(const fs::path& folder, const std::string& path) {
  std::error_code failure;
  return fs::absolute(folder / path, failure).lexically_normal().string();
}

// Makes every string that the schema calls a path absolute, from `folder`. Empty ones stay.
void resolve_paths(const json& schema, json& value, const fs::path& folder) {
  if (!schema.contains("properties")) return;
  for (const auto& [key, property] : schema.at("properties").items()) {
    const auto found = value.find(key);
    if (found == value.end()) continue;
    if (found->is_object()) resolve_paths(property, *found, folder);
    if (!found->is_string() || property.value("format", "") != "path") continue;
    const auto& text = found->get_ref<const std::string&>();
    if (!text.empty()) *found = absolute_path(folder, text);
  }
}

// The string at table.key of what the user wrote; "" when absent or of another type.
std::string text_at(const json& given, const char* table, const char* key) {
  const auto found = given.find(table);
  if (found == given.end() || !found->is_object() || !found->contains(key)) return "";
  const json& value = found->at(key);
  return value.is_string() ? value.get<std::string>() : "";
}

// These look at what the user wrote, whatever else is wrong with it, so that all faults show at
// once.
void check_combinations(const json& given, Faults& faults) {
  const auto selection = given.find("selection");
  if (selection != given.end() && selection->contains("ratio") && selection->contains("count"))
    faults.add("/selection/count", "give either ratio or count, not both");
  if (text_at(given, "prompt", "anchor") != "prefix")
    for (const char* key : {"instruction", "head"})
      if (!text_at(given, "prompt", key).empty())
        faults.add(append_pointer("/prompt", key), "needs anchor = \"prefix\"");
}

void check_files(const TomlDocument& document, Faults& faults) {
  const auto check = [&](const char* table, const char* key, bool folder) {
    const std::string text = text_at(document.json(), table, key);
    if (text.empty()) return;
    const std::string pointer = append_pointer(append_pointer("", table), key);
    const std::string path = absolute_path(document.directory(), text);
    std::error_code failure;
    if (!fs::exists(path, failure))
      faults.add(pointer, std::string("no such ") + (folder ? "folder: " : "file: ") + path,
                 ErrorCode::kEnvironment);
    else if (fs::is_directory(path, failure) != folder)
      faults.add(pointer,
                 folder ? "must be a folder: " + path : "must be a file, is a folder: " + path,
                 ErrorCode::kEnvironment);
  };
  check("model", "path", true);
  check("data", "demonstrations", false);
  check("data", "queries", false);
  check("data", "query_indices", false);
  check("data", "labels", false);
}

}  // namespace

Error ResolvedPipeline::fault(std::string_view pointer, std::string_view message,
                              ErrorCode code) const {
  return {code, fault_line(document, pointer, message), std::string(pointer)};
}

Error ResolvedPipeline::located(Error error) const {
  if (error.config_pointer.empty()) return error;
  // The SDK starts its messages with the key's name, others with its dotted name; the place says it
  // already.
  std::string_view message = error.message;
  for (const std::string& name :
       {split_pointer(error.config_pointer).back() + " ", dotted_name(error.config_pointer) + ": "})
    if (message.starts_with(name)) {
      message.remove_prefix(name.size());
      break;
    }
  return fault(error.config_pointer, message, error.code);
}

Result<ResolvedPipeline> resolve_pipeline(TomlDocument document, const PluginRegistry& registry) {
  ResolvedPipeline out;
  Faults faults;
  json schema = pipeline_schema();
  for (uint32_t kind = 1; kind <= out.stages.size(); ++kind) {
    const std::string stage(kind_name(kind));
    ResolvedStage& resolved = out.stages[kind - 1];
    resolved.kind = kind;
    const std::string name = plugin_name(document.json(), stage);
    if (name.empty()) continue;  // the schema says why
    Result<const Manifest*> manifest = registry.find(kind, name);
    if (!manifest.ok()) {
      faults.add("/" + stage + "/plugin", manifest.error().message, manifest.error().code);
      continue;
    }
    resolved.manifest = *manifest;
    merge_schema(schema, stage, resolved.manifest->config_schema);
  }

  faults.append(check_schema(schema, document.json()));
  check_combinations(document.json(), faults);
  check_files(document, faults);
  DBSA_RETURN_IF_ERROR(faults.status(document));

  out.json = document.json();
  apply_defaults(schema, out.json);
  if (!out.json["selection"].contains("ratio") && !out.json["selection"].contains("count"))
    out.json["selection"]["ratio"] = kDefaultRatio;
  resolve_paths(schema, out.json, document.directory());
  for (ResolvedStage& stage : out.stages) {
    json& table = out.json[std::string(kind_name(stage.kind))];
    table["plugin"] = stage.manifest->id;
    stage.config = json::object();
    for (const std::string& key : stage.manifest->config_keys) stage.config[key] = table.at(key);
  }
  out.document = std::move(document);
  return out;
}

Status check_plugins(const ResolvedPipeline& pipeline, PluginRegistry& registry) {
  Error all;
  for (const ResolvedStage& stage : pipeline.stages) {
    Result<LoadedPlugin> plugin = registry.load(*stage.manifest);
    const Status status =
        plugin.ok() ? check_config(*plugin, stage.config) : Status(std::move(plugin).error());
    if (status.ok()) continue;
    const Error error = pipeline.located(status.error());
    if (all.message.empty() || error.code == ErrorCode::kConfig) {
      all.code = error.code;
      all.config_pointer = error.config_pointer;
    }
    all.message += (all.message.empty() ? "" : "\n") + error.message;
  }
  if (all.message.empty()) return {};
  return all;
}

}  // namespace dbsa::host
