// RoPE of a model in a GGUF file: keys, and tensors of factors.
#pragma once

#include <string>
#include <vector>

#include "model/config/model_config.h"
#include "model/gguf/config_reader.h"

namespace dbsa::gguf {

// After the shape: config.rope.head_dim says how many dimensions of a head are rotated, and
// max_positions is the context that the keys give, which scaling may extend.
void read_gguf_rope(ConfigReader& reader);

// The tensors that it may be read from, which are none of the weights.
std::vector<std::string> rope_tensors(const ModelConfig& config);

}  // namespace dbsa::gguf
