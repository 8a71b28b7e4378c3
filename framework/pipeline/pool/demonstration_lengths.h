// Demonstrations and labels that have more tokens than the model has positions for.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "icl/dataset.h"
#include "icl/label_tokens.h"
#include "model/config/model_config.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// One line for each of the first 20, "FILE:LINE: expected ..., found ...", and how many more there
// are; "" where all fit. tokens: of each demonstration; file: for messages.
std::string too_long_demonstrations(const ModelConfig& model, const std::string& file,
                                    std::span<const Example> demonstrations,
                                    std::span<const int64_t> tokens);

// kConfig, with the files that may hold it, where a label is too long. tokens: of each label.
Status check_label_lengths(const ModelConfig& model, const DataSettings& data,
                           std::span<const std::string> labels,
                           std::span<const LabelTokens> tokens);

}  // namespace dbsa
