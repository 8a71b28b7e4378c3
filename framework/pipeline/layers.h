// Keys of a pipeline laid over one another, as a sweep file and --set say.
#pragma once

#include <dbsa/sdk/result.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/toml_document.h"

namespace dbsa {

// Dotted keys and what they are set to, in order.
using KeyValues = std::vector<std::pair<std::string, nlohmann::json>>;

// {"selection": {"ratio": 1}} and {"selection.ratio": 1} alike; plugins first.
KeyValues flattened(const nlohmann::json& table);

// Plugins first, outer ones before those in their tables: they decide which keys may stand beside
// them.
KeyValues plugins_first(KeyValues settings);

// Lays settings over a pipeline; paths count from `folder`. To name a plugin drops the own keys of
// the one before; of selection.ratio and selection.count the later one stays. kConfig for a key
// that leads into something that is no table.
Status lay_over(const KeyValues& settings, const std::filesystem::path& folder,
                nlohmann::json& pipeline);

// The same for what --set options say, "selection.ratio=0.5"; places of faults name the option.
// kConfig, too, for what is no KEY=VALUE.
Status set_over(const std::vector<std::string>& options, TomlDocument& pipeline);

std::string absolute_path(const std::filesystem::path& folder, const std::string& path);

}  // namespace dbsa
