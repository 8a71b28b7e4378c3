// What a manifest says about a plugin, in the forms that `inspect` and the documents need.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/manifest.h"

namespace dbsa::host {

// One key of a plugin's table, as text.
struct ConfigRow {
  std::string key;
  std::string type;           // "integer", "path", ...
  std::string default_value;  // TOML; "required" where there is none
  std::string range;          // ">= 0, <= 1", "\"a\" | \"b\"", or ""
  std::string unit;           // or ""
  std::string description;
};

// The plugin's own keys, in the manifest's order.
std::vector<ConfigRow> config_rows(const Manifest& manifest);

// The tables of a pipeline file, "data", as the framework knows them; by name.
std::vector<std::string> pipeline_sections();
// The framework's keys of one of them, by name; default_value is "" where a key may be left out and
// then means nothing.
std::vector<ConfigRow> section_rows(const std::string& section);

// A table for a pipeline file that can be pasted as it is: the framework's keys of the stage, then
// the plugin's, each with its default and a comment. Required keys have an empty value to fill in.
std::string config_toml(const Manifest& manifest);

// Everything, for machines.
nlohmann::json describe_plugin(const Manifest& manifest);

}  // namespace dbsa::host
