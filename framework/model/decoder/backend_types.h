// What a backend is told of a model's attention, and whether it can compute the model.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config/model_spec.h"

namespace dbsa {

// The backend's type of each of spec.attention_types: windows are not its concern, segments carry
// them.
std::vector<int32_t> backend_types(const ModelSpec& spec);

}  // namespace dbsa
