// A folder with a tiny random model, a small data set and a pipeline file, and the built program to
// run on them.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/process.h"
#include "tests/support/workspace.h"

namespace dbsa {

class CliTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  // The program with these words.
  ProcessResult cli(const Words& words, const ProcessOptions& options = {}) const;
  Words command(const Words& words) const;

  // Makes model/, pool.jsonl, queries.jsonl and pipeline.toml with a store in store/. Returns the
  // pipeline's path.
  std::string make_pipeline(int demonstrations = 24, int queries = 5) const;
  // The pipeline's path after replacing a text that must be in the file.
  std::string edit_pipeline(const std::string& from, const std::string& to) const;

  std::string path(const std::string& name = "") const { return workspace_.path(name); }
  // The record of a run of pipeline.toml that succeeds, with what it said on standard error as
  // "said".
  nlohmann::json run(const Words& more = {}) const;
  // The one result record in runs/.
  nlohmann::json only_record() const;

  Workspace workspace_;
};

// JSON objects, one a line.
std::vector<nlohmann::json> json_lines(const std::string& text);

}  // namespace dbsa
