// The data of a pipeline in sight: how often each label stands, how long texts are, and what is
// doubtful, as far as that is known without computing.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "commands/findings.h"
#include "icl/validity.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct LabelUse {
  std::string label;
  int64_t demonstrations = 0;
  int64_t queries = 0;  // that expect it, as one of several too
};

// Lengths in tokens.
struct TokenLengths {
  int64_t p50 = 0, p95 = 0, longest = 0;
  int64_t longest_line = 0;  // of the data file
};

struct DataSight {
  std::vector<LabelUse> labels;  // of the most demonstrations first, then in byte order
  // Of demonstrations by themselves, the separator included; of queries as the model reads them,
  // cut where data.truncate says so. Nothing where none was tokenised.
  std::optional<TokenLengths> demonstrations, queries;
  DataValidity validity;
};

// Cost: tokenises every demonstration once more.
DataSight look_at_data(const Findings& findings);

void print_data_sight(const DataSight& sight, Terminal& terminal);
nlohmann::ordered_json data_sight_to_json(const DataSight& sight);

}  // namespace dbsa::cli
