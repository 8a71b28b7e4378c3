// The axes of a sweep file, and which of their values are chosen.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/toml_document.h"
#include "pipeline/sweep_layers.h"

namespace dbsa {

// A pipeline file, or a part of one, that the sweep file names.
struct SweepPart {
  std::string path;     // absolute; "" for none
  std::string pointer;  // into the sweep file, where it is named
};

struct SweepValue {
  std::string name;
  SweepPart file;
  KeyValues settings;
};

struct SweepAxis {
  std::string name;
  std::vector<SweepValue> values;
};

// Reads the axes of a file that passed the schema, and checks that `baseline` and `published` name
// axes and values that are there. source: the file with its defaults. kConfig with a line for each
// fault.
Result<std::vector<SweepAxis>> read_axes(const TomlDocument& document,
                                         const nlohmann::json& source);

// Leaves out what --only ("axis=value") does not name. kConfig for one that names nothing.
Status choose_values(const std::vector<std::string>& only, std::vector<SweepAxis>& axes);

// Whether all values that a cell of `baseline` or `published` names are among those of the axes.
bool names_chosen(const nlohmann::json& cell, const std::vector<SweepAxis>& axes);

}  // namespace dbsa
