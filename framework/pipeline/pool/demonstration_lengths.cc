#include "pipeline/pool/demonstration_lengths.h"

#include "icl/item_error.h"
#include "text/utf8.h"

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

Status check_label_lengths(const ModelConfig& model, const DataSettings& data,
                           std::span<const std::string> labels,
                           std::span<const LabelTokens> tokens) {
  constexpr size_t kShown = 40;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto length = static_cast<int64_t>(tokens[i].ids.size());
    if (length <= model.max_positions) continue;
    const std::string files =
        data.labels.empty() ? data.demonstrations : data.labels + " or " + data.demonstrations;
    return Error{ErrorCode::kConfig,
                 files + ": expected labels of at most " + std::to_string(model.max_positions) +
                     " tokens, the model's positions, found one of " + std::to_string(length) +
                     " that begins with \"" + utf8::to_valid(labels[i].substr(0, kShown)) +
                     "\"; shorten it or remove its records",
                 ""};
  }
  return {};
}

}  // namespace dbsa
