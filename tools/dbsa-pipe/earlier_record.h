// The record of an earlier run, which `run --record` repeats. It is read once, before anything
// else: what happens to its file later does not matter.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/toml_document.h"

namespace dbsa::cli {

struct EarlierRecord {
  std::string path;
  nlohmann::json head;                   // all of it except the queries and the config
  nlohmann::json config;                 // of its pipeline
  std::vector<nlohmann::json> outcomes;  // by query: {"label": ...}, {"error": ...} or {}

  // kEnvironment where there is no such file, kConfig where it is not a result record.
  static Result<EarlierRecord> read(const std::string& path);
  // As a file beside the record would give it.
  Result<TomlDocument> pipeline() const;
};

}  // namespace dbsa::cli
