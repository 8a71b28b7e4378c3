#include "host/resolve.h"

#include <algorithm>
#include <filesystem>

#include "config/absolute_path.h"
#include "config/json_pointer.h"
#include "config/json_text.h"
#include "config/model_path.h"
#include "config/path_kind.h"
#include "config/schema_check.h"
#include "host/instance.h"

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kDefaultRatio = 0.3;

// The kind of plugin whose table a key of a manifest takes; 0 for an ordinary key.
uint32_t inner_kind(const json& key) {
  return key.value("type", "") == "object" ? kind_from_name(key.value("format", "")) : 0;
}

// Puts the schemas of inner plugins where a stage's schema has only `type = "object"`, and finds
// their manifests. given: the stage's table, faults included.
void merge_inner(json& schema, const json& given, const PluginRegistry& registry,
                 ResolvedStage& stage, Faults& faults) {
  const std::string name(kind_name(stage.kind));
  for (const std::string& key : stage.manifest->config_keys) {
    const json property = schema["properties"][key];
    const uint32_t kind = inner_kind(property);
    if (kind == 0) continue;
    json& table = schema["properties"][key];
    table = {{"type", "object"},
             {"description", property.at("description")},
             {"required", {"plugin"}},
             {"properties", {{"plugin", {{"type", "string"}, {"minLength", 1}}}}}};
    const bool named = given.is_object() && given.contains(key) && given.at(key).is_object() &&
                       given.at(key).contains("plugin") && given.at(key).at("plugin").is_string() &&
                       given.at(key).at("plugin") != "";
    if (!named) continue;  // the schema says why
    const std::string pointer = append_pointer("/" + name, key);
    const auto manifest = registry.find(kind, given.at(key).at("plugin").get<std::string>());
    if (!manifest.ok()) {
      faults.add(pointer + "/plugin", manifest.error().message, manifest.error().code);
      continue;
    }
    const json& keys = (*manifest)->config_schema;
    if (std::any_of(keys.at("properties").begin(), keys.at("properties").end(),
                    [](const json& own) { return inner_kind(own) != 0; })) {
      faults.add(
          pointer + "/plugin",
          (*manifest)->id + " is made of other plugins itself and cannot be part of another one");
      continue;
    }
    table["additionalProperties"] = false;
    table["properties"].update(keys.at("properties"));
    for (const json& needed : keys.at("required")) table["required"].push_back(needed);
    stage.inner.push_back({pointer, *manifest, json()});
  }
}

// Whose a key is that the stage's plugin does not have.
void note_owners(const json& given, const PluginRegistry& registry, const ResolvedStage& stage,
                 Faults& faults) {
  if (!given.is_object()) return;
  for (const auto& [key, value] : given.items()) {
    std::string owners;
    for (const Manifest& manifest : registry.manifests())
      if (manifest.kind == stage.kind && manifest.config_schema.at("properties").contains(key))
        owners += (owners.empty() ? "" : ", ") + registry.name_of(manifest);
    if (!owners.empty())
      faults.note_unknown_key(
          "/" + std::string(kind_name(stage.kind)), key,
          "; " + registry.name_of(*stage.manifest) + " has none of that name, " + owners + " has");
  }
}

std::string default_name(const std::string& stage) {
  const json& properties = pipeline_schema().at("properties").at(stage).at("properties");
  return properties.at("plugin").at("default");
}

// A stage's plugin name: what the file says, else the schema's default; "" if it is no string.
std::string plugin_name(const json& pipeline, const std::string& stage) {
  const auto table = pipeline.find(stage);
  if (table == pipeline.end() || !table->is_object() || !table->contains("plugin"))
    return default_name(stage);
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

// The folder that a relative path counts from: the file's, or the current one for what was given
// on the command line.
fs::path folder_of(const TomlDocument& document, const std::string& pointer) {
  const bool given = document.json().contains(json::json_pointer(pointer));
  return given && !document.place(pointer).option.empty() ? fs::path() : document.directory();
}

// Makes every string that the schema calls a path absolute. value: the document's at `pointer`,
// with defaults. Empty ones stay.
void resolve_paths(const json& schema, const TomlDocument& document, const std::string& pointer,
                   json& value) {
  if (!schema.contains("properties")) return;
  for (const auto& [key, property] : schema.at("properties").items()) {
    const auto found = value.find(key);
    if (found == value.end()) continue;
    const std::string at = append_pointer(pointer, key);
    if (found->is_object()) resolve_paths(property, document, at, *found);
    if (!found->is_string() || property.value("format", "") != "path") continue;
    const auto& text = found->get_ref<const std::string&>();
    if (!text.empty()) *found = absolute_path(folder_of(document, at) / text);
  }
}

// The string at table.key of what the user wrote; "" when absent or of another type.
std::string text_at(const json& given, const char* table, const char* key) {
  const auto found = given.find(table);
  if (found == given.end() || !found->is_object() || !found->contains(key)) return "";
  const json& value = found->at(key);
  return value.is_string() ? value.get<std::string>() : "";
}

// These look at what the user wrote, even if something else is wrong with it, so that all faults
// show at once.
void check_combinations(const json& given, Faults& faults) {
  const auto selection = given.find("selection");
  if (selection != given.end() && selection->contains("ratio") && selection->contains("count"))
    faults.add("/selection/count", "give either ratio or count, not both");
  if (text_at(given, "prompt", "anchor") != "prefix")
    for (const char* key : {"instruction", "head"})
      if (!text_at(given, "prompt", key).empty())
        faults.add(append_pointer("/prompt", key), "needs anchor = \"prefix\"");
}

void check_files(const TomlDocument& document, NamedFiles files, Faults& faults) {
  const auto check = [&](const char* table, const char* key, bool model) {
    const std::string text = text_at(document.json(), table, key);
    if (text.empty()) return;
    const std::string pointer = append_pointer(append_pointer("", table), key);
    const std::string path = absolute_path(folder_of(document, pointer) / text);
    const Result<PathKind> kind = path_kind(path);
    if (!kind.ok())
      faults.add(pointer, kind.error().message, ErrorCode::kEnvironment);
    else if (*kind == PathKind::kNothing)
      faults.add(pointer,
                 model ? "no such folder or file: " + path + absent_model_hint(text, path)
                       : "no such file: " + path,
                 ErrorCode::kEnvironment);
    else if (model && *kind == PathKind::kFile && !is_gguf_file(path))
      faults.add(pointer, "must be a folder or a GGUF file: " + path + model_file_hint(path),
                 ErrorCode::kEnvironment);
    else if (model && *kind == PathKind::kOther)
      faults.add(pointer, "must be a folder or a GGUF file: " + path, ErrorCode::kEnvironment);
    else if (!model && *kind == PathKind::kFolder)
      faults.add(pointer, "must be a file, is a folder: " + path, ErrorCode::kEnvironment);
  };
  if (files == NamedFiles::kNone) return;
  check("model", "path", true);
  if (files == NamedFiles::kModel) return;
  check("data", "demonstrations", false);
  check("data", "queries", false);
  check("data", "query_indices", false);
  check("data", "labels", false);
}

}  // namespace

Error ResolvedPipeline::fault(std::string_view pointer, std::string_view message,
                              ErrorCode code) const {
  // What has its place is not given it again, so there is no pointer any more.
  return {code, fault_line(document, pointer, message), ""};
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

Result<ResolvedPipeline> resolve_pipeline(TomlDocument document, const PluginRegistry& registry,
                                          NamedFiles files) {
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
    const auto given = document.json().find(stage);
    merge_inner(schema["properties"][stage], given != document.json().end() ? *given : json(),
                registry, resolved, faults);
  }

  faults.append(check_schema(schema, document.json()));
  for (const ResolvedStage& stage : out.stages)
    if (const auto given = document.json().find(std::string(kind_name(stage.kind)));
        stage.manifest != nullptr && given != document.json().end())
      note_owners(*given, registry, stage, faults);
  check_combinations(document.json(), faults);
  check_files(document, files, faults);
  DBSA_RETURN_IF_ERROR(faults.status(document));

  out.json = document.json();
  apply_defaults(schema, out.json);
  if (!out.json["selection"].contains("ratio") && !out.json["selection"].contains("count"))
    out.json["selection"]["ratio"] = kDefaultRatio;
  resolve_paths(schema, document, "", out.json);
  for (ResolvedStage& stage : out.stages) {
    json& table = out.json[std::string(kind_name(stage.kind))];
    table["plugin"] = stage.manifest->id;
    stage.config = json::object();
    for (InnerPlugin& inner : stage.inner) {
      inner.config = out.json[json::json_pointer(inner.pointer)];
      inner.config.erase("plugin");
      out.json[json::json_pointer(inner.pointer)]["plugin"] = inner.manifest->id;
    }
    for (const std::string& key : stage.manifest->config_keys) stage.config[key] = table.at(key);
  }
  out.document = std::move(document);
  return out;
}

namespace {

// Loads one plugin and lets it check its keys, which stand at `pointer` in the pipeline.
Status check_plugin(const Manifest& manifest, const json& config, const std::string& pointer,
                    PluginRegistry& registry) {
  DBSA_ASSIGN_OR_RETURN(const LoadedPlugin plugin, registry.load(manifest));
  Status status = check_config(plugin, config);
  if (status.ok() || status.error().config_pointer.empty()) return status;
  Error error = status.error();  // its pointer begins with the kind's stage
  error.config_pointer.replace(0, 1 + kind_name(manifest.kind).size(), pointer);
  return error;
}

}  // namespace

Status check_plugins(const ResolvedPipeline& pipeline, PluginRegistry& registry) {
  Error all;
  const auto add = [&](const Status& status) {
    if (status.ok()) return;
    const Error error = pipeline.located(status.error());
    if (all.message.empty() || error.code == ErrorCode::kConfig) all.code = error.code;
    all.message += (all.message.empty() ? "" : "\n") + error.message;
  };
  for (const ResolvedStage& stage : pipeline.stages) {
    add(check_plugin(*stage.manifest, stage.config, "/" + std::string(kind_name(stage.kind)),
                     registry));
    for (const InnerPlugin& inner : stage.inner)
      add(check_plugin(*inner.manifest, inner.config, inner.pointer, registry));
  }
  if (all.message.empty()) return {};
  return all;
}

Result<const Manifest*> default_plugin(uint32_t kind, const PluginRegistry& registry) {
  return registry.find(kind, default_name(std::string(kind_name(kind))));
}

void offer_plugins(HostServices& services, PluginRegistry& registry) {
  services.set_plugin_opener([&services, &registry](
                                 uint32_t kind,
                                 const std::string& text) -> Result<HostServices::Opened> {
    json config;
    if (parse_json(text, config) || !config.is_object() || !config.contains("plugin") ||
        !config.at("plugin").is_string())
      return Error{ErrorCode::kInvalidArgument, "open_plugin: the config has no key `plugin`", ""};
    DBSA_ASSIGN_OR_RETURN(const Manifest* const manifest,
                          registry.find(kind, config.at("plugin").get<std::string>()));
    DBSA_ASSIGN_OR_RETURN(const LoadedPlugin plugin, registry.load(*manifest));
    config.erase("plugin");
    HostServices::Opened opened = {plugin.table, nullptr};
    const Status made = create_instance(plugin, services, config.dump(), opened.instance);
    if (!made.ok()) {
      Error error = made.error();
      // Its pointer begins with the kind's stage; the caller's is due.
      if (!error.config_pointer.empty()) error.config_pointer.erase(0, 1 + kind_name(kind).size());
      return error;
    }
    return opened;
  });
}

}  // namespace dbsa::host
