// Demonstrations that have more tokens than the model has positions for.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "icl/dataset.h"
#include "model/model_config.h"

namespace dbsa {

// One line for each of the first 20, "FILE:LINE: expected ..., found ...", and how many more there
// are; "" where all fit. tokens: of each demonstration; file: for messages.
std::string too_long_demonstrations(const ModelConfig& model, const std::string& file,
                                    std::span<const Example> demonstrations,
                                    std::span<const int64_t> tokens);

}  // namespace dbsa
