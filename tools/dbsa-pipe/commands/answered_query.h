// What `query --json` prints of an answered text, and `explain --query --json` repeats.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "icl/dataset.h"
#include "options.h"
#include "pipeline/pipeline.h"

namespace dbsa::cli {

// text, expected, correct, then the answer as in a record, but label_log_probabilities by name.
// labels: as Pipeline::labels.
nlohmann::ordered_json answered_to_json(const Example& example, const Answer& answer,
                                        const std::vector<std::string>& labels);

// A text of the command line, which `option` brought. kConfig where it is blank or not UTF-8.
Status check_text(const std::string& option, const std::string& text);

// "85.2 %"
std::string percent(double log_probability);

// What the percentage of an answer says: "of the probability of all 4 labels, by tokens".
std::string meaning_of_percent(const Pipeline& pipeline);

}  // namespace dbsa::cli
