#include "host/manifest.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "config/toml_document.h"
#include "host/loaded_plugin.h"

namespace dbsa::host {
namespace {

using nlohmann::json;

bool is_name(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_id(std::string_view text) {
  int names = 0;
  for (size_t begin = 0; begin <= text.size(); ++names) {
    const size_t end = std::min(text.find('.', begin), text.size());
    if (!is_name(text.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return names >= 3;
}

// "0.1"
bool parse_abi(std::string_view text, uint32_t& major, uint32_t& minor) {
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  return second.ec == std::errc() && second.ptr == end;
}

// Roles are for keys of one type, and two of them for KV stores.
void check_role(const json& key, const std::string& stage, const std::string& pointer,
                Faults& faults) {
  const std::string role = key.value("role", ""), type = key.at("type");
  if (role.empty()) return;
  const std::string wanted = role == kLocationRole ? "string" : "integer";
  if (type != wanted)
    faults.add(pointer + "/role",
               "is for " + wanted + "s, the key is a" + (type == "integer" ? "n " : " ") + type);
  if (role != kSeedRole && stage != kind_name(DBSA_KIND_KV_STORE))
    faults.add(pointer + "/role", "is for keys of a kv_store, this is a " + stage);
}

// What the schema of manifests cannot say about one key.
void check_key(const json& key, const std::string& pointer, Faults& faults) {
  const std::string type = key.at("type");
  const std::string named = (type == "integer" || type == "object" ? "an " : "a ") + type;
  const bool numeric = type == "integer" || type == "number";
  for (const char* keyword : {"minimum", "maximum"})
    if (key.contains(keyword) && !numeric)
      faults.add(append_pointer(pointer, keyword), "is for numbers, the key is " + named);
  const std::string format = key.value("format", "");
  if (key.contains("enum") && type != "string")
    faults.add(append_pointer(pointer, "enum"), "is for strings, the key is " + named);
  if (format == "path" && type != "string")
    faults.add(append_pointer(pointer, "format"), "is for strings, the key is " + named);
  if ((type == "object") != (kind_from_name(format) != 0))
    faults.add(append_pointer(pointer, type == "object" ? "type" : "format"),
               "a key of type object takes a plugin's table: format = \"retriever\"; no other key "
               "does");
  for (const char* keyword : {"default", "affects"})
    if (type == "object" && key.contains(keyword))
      faults.add(append_pointer(pointer, keyword), "is not for tables");
  if (key.contains("minimum") && key.contains("maximum") && key["minimum"] > key["maximum"])
    faults.add(append_pointer(pointer, "maximum"),
               "must be >= minimum " + key["minimum"].dump() + ", got " + key["maximum"].dump());
  if (!key.contains("default")) return;
  const Faults of_default = check_schema(key, key["default"]);
  for (const Fault& fault : of_default.list())
    faults.add(append_pointer(pointer, "default"), fault.message);
}

Faults check(const json& manifest) {
  Faults faults = check_schema(plugin_manifest_schema(), manifest);
  const auto text = [&](const char* key) {
    const auto found = manifest.find(key);
    return found != manifest.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (const std::string id = text("id"); !id.empty() && !is_id(id))
    faults.add("/id", "must be three or more names joined by dots, like dbsa.retriever.bm25, got " +
                          in_quotes(id));
  uint32_t major = 0;
  uint32_t minor = 0;
  if (const std::string abi = text("abi"); !abi.empty() && !parse_abi(abi, major, minor))
    faults.add("/abi", "must be major.minor, like 0.1, got " + in_quotes(abi));
  if (!faults.empty() || !manifest.contains("config")) return faults;

  const std::string stage = manifest.at("kind");
  std::map<std::string, std::string> keys_of_roles;
  const json& reserved = pipeline_schema().at("properties").at(stage).at("properties");
  for (const auto& [name, key] : manifest.at("config").items()) {
    const std::string pointer = append_pointer("/config", name);
    if (!is_name(name)) faults.add(pointer, "a key is made of a-z, 0-9 and _");
    if (reserved.contains(name))
      faults.add(pointer, "is the framework's own key of [" + stage + "]; choose another name");
    check_key(key, pointer, faults);
    check_role(key, stage, pointer, faults);
    const std::string role = key.value("role", "");
    if (role.empty() || role == kSeedRole) continue;
    if (const auto [first, is_new] = keys_of_roles.emplace(role, name); !is_new)
      faults.add(pointer + "/role", "two keys have it; " + first->second + " is the other one");
  }
  return faults;
}

// The schema of a plugin's table from the keys' own.
json config_schema_of(const json& keys) {
  json schema = {{"type", "object"},
                 {"additionalProperties", false},
                 {"properties", keys},
                 {"required", json::array()}};
  for (const auto& [name, key] : keys.items())
    if (!key.contains("default")) schema["required"].push_back(name);
  return schema;
}

Result<Manifest> manifest_of(const TomlDocument& document) {
  DBSA_RETURN_IF_ERROR(check(document.json()).status(document));
  json source = document.json();
  apply_defaults(plugin_manifest_schema(), source);
  json keys = source.value("config", json::object());
  // A default of a number key may be written as an integer.
  for (json& key : keys)
    if (key.contains("default")) apply_defaults(key, key["default"]);

  Manifest manifest;
  manifest.id = source.at("id");
  manifest.kind = kind_from_name(source.at("kind").get<std::string>());
  manifest.revision = source.at("revision");
  manifest.version = source.at("version");
  manifest.summary = source.at("summary");
  manifest.description = source.at("description");
  manifest.licence = source.at("licence");
  parse_abi(source.at("abi").get<std::string>(), manifest.abi_major, manifest.abi_minor);
  manifest.needs_libraries = source.at("needs").at("libraries").get<std::vector<std::string>>();
  manifest.needs_cuda = source.at("needs").at("cuda");
  for (const auto& [name, key] : keys.items()) manifest.config_keys.push_back(name);
  std::stable_sort(manifest.config_keys.begin(), manifest.config_keys.end(),
                   [&](const std::string& a, const std::string& b) {
                     return document.place(append_pointer("/config", a)).line <
                            document.place(append_pointer("/config", b)).line;
                   });
  for (const std::string& name : manifest.config_keys)
    if (const json& key = keys.at(name); key.contains("role"))
      manifest.roles.push_back({key.at("role"), name, key.value("format", "") == "path"});
  manifest.config_schema = config_schema_of(keys);
  manifest.path = document.name();
  manifest.library_path = manifest.path;
  if (manifest.path.ends_with(kManifestSuffix))
    manifest.library_path.resize(manifest.path.size() - kManifestSuffix.size());
  manifest.library_path += ".so";
  return manifest;
}

}  // namespace

std::string_view Manifest::short_name() const {
  const std::string_view text = id;
  return text.substr(text.rfind('.') + 1);
}

bool Manifest::affects_results(std::string_view pointer) const {
  const std::vector<std::string> names = split_pointer(pointer);
  if (names.size() != 1) return true;
  const json& keys = config_schema.at("properties");
  const auto key = keys.find(names.front());
  return key == keys.end() || key->value("affects", "results") != "speed";
}

Result<Manifest> load_manifest(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(const TomlDocument document, TomlDocument::load(path));
  return manifest_of(document);
}

Result<Manifest> parse_manifest(std::string_view text, std::string path) {
  DBSA_ASSIGN_OR_RETURN(const TomlDocument document, TomlDocument::parse(text, std::move(path)));
  return manifest_of(document);
}

}  // namespace dbsa::host
