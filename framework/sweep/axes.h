// The axes of a sweep file, and which of their values are chosen.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/toml_document.h"
#include "pipeline/settings/layers.h"

namespace dbsa {

// A pipeline file, or a part of one, that the sweep file names.
struct GridPart {
  std::string path;     // absolute; "" for none
  std::string pointer;  // into the sweep file, where it is named
};

struct GridValue {
  std::string name;
  GridPart file;
  KeyValues settings;
};

struct GridAxis {
  std::string name;
  std::vector<GridValue> values;
};

// Reads the axes of a file that passed the schema, and checks that `baseline` and `published` name
// axes and values that are there. source: the file with its defaults. kConfig with a line for each
// fault.
Result<std::vector<GridAxis>> read_axes(const TomlDocument& document, const nlohmann::json& source);

// Leaves out what --only ("axis=value") does not name. kConfig for one that names nothing.
Status choose_values(const std::vector<std::string>& only, std::vector<GridAxis>& axes);

// Whether all values that a cell of `baseline` or `published` names are among those of the axes.
bool names_chosen(const nlohmann::json& cell, const std::vector<GridAxis>& axes);

}  // namespace dbsa
