// Input that is wrong in one way, given to the program as a user would; the exit code and every
// word on standard error are compared.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/cli_fixture.h"

namespace dbsa {

class BadInput : public CliTest {
 protected:
  void SetUp() override { make_pipeline(); }

  // What a command on pipeline.toml says: "exit 2\nerror: ...", folders shortened to $W (the
  // workspace), $P (the build's plugins) and $B (bad plugins). Standard output must be empty.
  std::string say(const std::string& command, const Words& more = {}) const;

  // `validate` and `run` must both say this, and leave no store and no record behind.
  void expect_refusal(const std::string& said, const Words& more = {}) const;

  // --set KEY=VALUE for each.
  static Words set(const std::vector<std::string>& values);
  // --plugin-path for the bad plugins, then set(values).
  static Words with_bad_plugins(const std::vector<std::string>& values);

  std::string shortened(std::string text) const;

  // Change model/.
  void edit_config(const std::function<void(nlohmann::json&)>& edit) const;
  void edit_weights(const std::function<void(std::string&)>& edit) const;  // the file's bytes
  // The weights' header, tensors by name.
  void edit_header(const std::function<void(nlohmann::json&)>& edit) const;
};

}  // namespace dbsa
