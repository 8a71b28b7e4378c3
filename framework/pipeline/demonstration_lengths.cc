#include "pipeline/demonstration_lengths.h"

#include "icl/item_error.h"

namespace dbsa {

std::string too_long_demonstrations(const ModelConfig& model, const std::string& file,
                                    std::span<const Example> demonstrations,
                                    std::span<const int64_t> tokens) {
  const int64_t limit = model.max_positions;
  const std::string expected = "expected a demonstration of at most " + std::to_string(limit) +
                               " tokens, the model's positions, found ";
  std::vector<Row> faults;
  for (size_t i = 0; i < demonstrations.size(); ++i) {
    if (tokens[i] <= limit) continue;
    const std::string message = file + ":" + std::to_string(demonstrations[i].line) + ": " +
                                expected + std::to_string(tokens[i]) +
                                "; shorten its text or remove the record";
    faults.push_back({{}, ItemError{ItemFault::kTooLong, message}});
  }
  return describe_faults(faults, file);
}

}  // namespace dbsa
