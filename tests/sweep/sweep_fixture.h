// A sweep on the tiny model: two shares of the blocks, two masks, two runs; eight cells.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/cli/cli_fixture.h"

namespace dbsa {

class SweepTest : public CliTest {
 protected:
  // Makes the model, the data and sweep.toml, whose records go to out/. More text goes to its end.
  std::string make_sweep(int queries = 5, const std::string& more = "") const;

  // What the cells answered, timings aside, by record name.
  std::map<std::string, nlohmann::json> answers(const std::string& folder = "out") const;
  // Inode and time of writing of each record.
  std::map<std::string, std::pair<ino_t, int64_t>> stamps(const std::string& folder = "out") const;
  // Names in a folder, sorted; none where there is no folder.
  std::vector<std::string> files(const std::string& folder) const;
  // A record's queries without their seconds.
  static nlohmann::json answers_of(const nlohmann::json& record);
};

}  // namespace dbsa
