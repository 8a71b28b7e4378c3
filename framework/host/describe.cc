#include "host/describe.h"

#include <algorithm>

#include "config/schema_check.h"
#include "host/loaded_plugin.h"

namespace dbsa::host {
namespace {

using nlohmann::json;

std::string range_of(const json& key) {
  std::string range;
  const auto add = [&](const char* sign, const char* keyword) {
    if (key.contains(keyword))
      range += (range.empty() ? "" : ", ") + std::string(sign) + " " + key[keyword].dump();
  };
  add(">=", "minimum");
  add(">", "exclusiveMinimum");
  add("<=", "maximum");
  add("<", "exclusiveMaximum");
  if (key.contains("enum"))
    for (const json& choice : key["enum"]) range += (range.empty() ? "" : " | ") + choice.dump();
  return range;
}

ConfigRow row_of(const std::string& name, const json& key) {
  // Numbers, booleans and JSON strings are TOML as they are, except for DEL, which no key has.
  return {name,
          key.contains("format") ? key["format"] : key.at("type"),
          key.contains("default") ? key["default"].dump() : "required",
          range_of(key),
          key.value("unit", ""),
          key.value("description", "") +
              (key.value("affects", "") == "speed" ? "; does not affect results" : "")};
}

// Comments end with their line.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

bool is_required(const json& schema, const std::string& key) {
  const json required = schema.value("required", json::array());
  return std::find(required.begin(), required.end(), key) != required.end();
}

// The row's comment.
std::string comment(const ConfigRow& row) {
  std::string out = "# " + one_line(row.description) + ". " + row.type;
  if (!row.unit.empty()) out += " [" + one_line(row.unit) + "]";
  if (!row.range.empty()) out += ", " + row.range;
  return out + (row.default_value == "required" ? ", required\n" : "\n");
}

std::string toml_of(const ConfigRow& row) {
  const bool required = row.default_value == "required";
  const bool text = row.type == "string" || row.type == "path";
  return comment(row) + row.key + " = " +
         (!required ? row.default_value
          : text    ? "\"\""
                    : "0") +
         "\n";
}

json framework_keys(const std::string& stage) {
  return pipeline_schema().at("properties").at(stage).at("properties");
}

// A key that takes another plugin's table; the type is its kind.
std::string inner_table(const std::string& stage, const ConfigRow& row) {
  return "\n" + comment(row) + "[" + stage + "." + row.key +
         "]\nplugin = " + framework_keys(row.type).at("plugin").at("default").dump() + "\n";
}

}  // namespace

std::vector<ConfigRow> config_rows(const Manifest& manifest) {
  std::vector<ConfigRow> rows;
  const json& keys = manifest.config_schema.at("properties");
  for (const std::string& name : manifest.config_keys) rows.push_back(row_of(name, keys.at(name)));
  return rows;
}

std::vector<std::string> pipeline_sections() {
  std::vector<std::string> names;
  for (const auto& [name, table] : pipeline_schema().at("properties").items())
    names.push_back(name);
  return names;
}

std::vector<ConfigRow> section_rows(const std::string& section) {
  const json& schema = pipeline_schema().at("properties").at(section);
  std::vector<ConfigRow> rows;
  for (const auto& [name, key] : schema.at("properties").items()) {
    rows.push_back(row_of(name, key));
    if (!key.contains("default") && !is_required(schema, name)) rows.back().default_value.clear();
  }
  return rows;
}

std::string config_toml(const Manifest& manifest) {
  const std::string stage(kind_name(manifest.kind));
  // A short name always means ours where there is one of ours.
  const std::string ours = "dbsa." + stage + "." + std::string(manifest.short_name());
  std::string out =
      "[" + stage + "]\n# " + one_line(manifest.summary) + "\nplugin = " +
      json(manifest.id == ours ? manifest.short_name() : std::string_view(manifest.id)).dump() +
      "\n";
  const json framework = framework_keys(stage);
  for (const auto& [name, key] : framework.items())
    if (name != "plugin") out += toml_of(row_of(name, key));
  std::string tables;  // end the stage's own
  for (const ConfigRow& row : config_rows(manifest))
    if (kind_from_name(row.type) != 0)
      tables += inner_table(stage, row);
    else
      out += toml_of(row);
  return out + tables;
}

json describe_plugin(const Manifest& manifest) {
  return {{"id", manifest.id},
          {"name", manifest.short_name()},
          {"kind", kind_name(manifest.kind)},
          {"revision", manifest.revision},
          {"version", manifest.version},
          {"summary", manifest.summary},
          {"description", manifest.description},
          {"licence", manifest.licence},
          {"abi", std::to_string(manifest.abi_major) + "." + std::to_string(manifest.abi_minor)},
          {"needs", {{"libraries", manifest.needs_libraries}, {"cuda", manifest.needs_cuda}}},
          {"config", manifest.config_schema},
          {"manifest", manifest.path},
          {"library", manifest.library_path}};
}

}  // namespace dbsa::host
