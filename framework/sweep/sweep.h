// Sweep: a sweep file laid out as cells, each a whole pipeline that can be run by itself.
//
// A cell is one value of every axis and one run. Over the base are laid, axis by axis, the file
// that its value names and the keys that it sets; then those of [set], then the run's seed, then
// what the command line sets. Naming another plugin removes the previous plugin's keys; of
// selection.ratio and selection.count the later one stays.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/toml_document.h"
#include "host/plugin_registry.h"
#include "pipeline/identity/identity.h"

namespace dbsa {

struct SweepCell {
  int64_t index = 0;  // from 0, in the order they run
  int64_t run = 1;
  std::vector<std::pair<std::string, std::string>> values;  // axis and value, in the axes' order
  nlohmann::json config;                                    // resolved
  RunIdentity identity;  // empty where the inputs cannot be read; no record is the cell's then
  // Keys that an axis sets and that affect speed only: they tell cells apart, too, because a sweep
  // is also run for its times. Dotted names and values.
  nlohmann::json speed_keys;
  // Hash of the run's identity and the speed keys, 16 hexadecimal digits: what names its record.
  // Cells that come to the same pipeline have the same one.
  std::string id;

  std::string name() const;  // "method = DBSA, ratio = 0.3, run 2"
};

struct Sweep {
  std::string path;  // of the sweep file, absolute
  std::string title;
  std::string directory;  // of records, absolute
  int64_t runs = 1;
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;  // names and values
  nlohmann::json baseline;                                             // object, or null
  nlohmann::json published;                                            // array
  std::vector<SweepCell> cells;

  // Cells that share a record with an earlier one although their values differ: each with the
  // earlier one.
  std::vector<std::pair<const SweepCell*, const SweepCell*>> twins() const;

  // What `report` reads, and people: <directory>/sweep.json.
  nlohmann::ordered_json to_json() const;
};

// What the command line has to say about a sweep.
struct SweepChoice {
  std::vector<std::string> only;      // "axis=value": other values of that axis are left out
  std::vector<std::string> settings;  // "key=value" as --set takes them: set last in every cell
  std::optional<int64_t> runs;        // instead of the file's
  bool force_set = false;             // `settings` may set keys that an axis sets
};

// Whether it is meant as a sweep file, right or wrong: it has axes.
bool is_sweep_file(const TomlDocument& document);

// sweep.json as it is to be written over one that is there: cells of the same axes that have a
// record in `directory` and are not among the sweep's own stay listed, so that a sweep that was
// narrowed (--only, --runs) loses nothing of its report. before: what is there, or null.
nlohmann::ordered_json merged_listing(const Sweep& sweep, const nlohmann::ordered_json& before);

// Reads a sweep file and resolves every cell; reads the inputs that the cells name, for their
// identities. One error with a line for each distinct fault, with
// its place in the sweep file or in one that cells are laid from; where not all cells have it, with
// the name of the first that does. Runs no plugin code.
Result<Sweep> load_sweep(const std::string& path, const SweepChoice& choice,
                         const host::PluginRegistry& registry);

// Paths below the sweep's folder.
std::string cell_pipeline_path(const SweepCell& cell);  // "cells/<id>.toml"
std::string cell_record_path(const SweepCell& cell);    // "records/<id>.json"
std::string cell_failure_path(const SweepCell& cell);   // "failures/<id>.json"

}  // namespace dbsa
