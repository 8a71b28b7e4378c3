// Keys of a pipeline laid over one another, as a sweep file and --set say.
#pragma once

#include <dbsa/sdk/result.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/toml_document.h"

namespace dbsa {

// A dotted key, what it is set to, and where that is written.
struct KeyValue {
  std::string key;
  nlohmann::json value;
  Place place;  // with its file
};
using KeyValues = std::vector<KeyValue>;  // in order

// The keys of a document, or of its table at the pointer if there is one: {"selection": {"ratio":
// 1}} and {"selection.ratio": 1} alike; plugins first.
KeyValues flattened(const TomlDocument& document, const std::string& pointer = "");

// Plugins first, outer ones before those in their tables: they decide which keys may stand beside
// them.
KeyValues plugins_first(KeyValues settings);

// Lays settings over a pipeline; relative paths are resolved against `folder`. Naming another
// plugin removes the previous plugin's keys; of selection.ratio and selection.count the later one
// stays, and prompt.demonstration removes the prefixes. kConfig, with its place, for a key that
// leads into something that is no table, or too deep.
Status lay_over(const KeyValues& settings, const std::filesystem::path& folder,
                TomlDocument& pipeline);

// The same for what --set options say, "selection.ratio=0.5"; places of faults name the option.
// kConfig, too, for what is no KEY=VALUE.
Status set_over(const std::vector<std::string>& options, TomlDocument& pipeline);

}  // namespace dbsa
